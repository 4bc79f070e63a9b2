# An image with the command `ebb`, and what archives in a bucket need.
#
#   docker build --tag ebb .
#   docker run --rm --env DATABASE_URL ebb status
#   docker run --rm --env DATABASE_URL --volume "$PWD:/work" ebb run --max-duration '4 hours' --execute

FROM node:24-slim AS build
WORKDIR /source
COPY . .
RUN npm ci --ignore-scripts --no-audit --no-fund && npm run build && npm pack --ignore-scripts --pack-destination /

FROM node:24-slim
COPY --from=build /pg-ebb-*.tgz /tmp/
RUN npm install --global --no-audit --no-fund /tmp/pg-ebb-*.tgz @aws-sdk/client-s3@3.1169.0 \
  && rm /tmp/pg-ebb-*.tgz && npm cache clean --force
# Configs and archives are looked for here; not root, for there is no need.
WORKDIR /work
USER node
# The process itself, so that a signal to stop reaches it: it ends after the current batch.
ENTRYPOINT ["ebb"]
CMD ["--help"]
