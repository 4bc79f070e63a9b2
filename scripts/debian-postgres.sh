#!/usr/bin/env bash
# Puts a PostgreSQL version that npm does not have yet, with pg_dump, psql and pgbench, into a folder, from Debian's
# packages; nothing is installed on the machine:
#
#   scripts/debian-postgres.sh 19 .versions/19     prints the folder that holds the programs
#   scripts/debian-postgres.sh 18 .versions/timescale postgresql-18-timescaledb     … with extensions from packages
#
# For Debian and amd64 or arm64. The packages come from the suites sid and experimental of the mirror that apt is
# configured with, and their signatures are checked. Their libraries come along, for they are newer than those of a
# stable Debian, so the programs know where the folder is: it cannot be moved.
set -euo pipefail

main() {
  major=$1
  target=$(realpath -m "$2")
  extensions=("${@:3}")
  work=$(mktemp -d)
  trap 'rm -rf "$work"' EXIT
  own_apt
  mapfile -t packages < <(packages_needed)
  (cd "$work" && apt download-packages "${packages[@]}")
  unpack
  make_self_contained
  "$target/lib/postgresql/$major/bin/postgres" --version >&2
  echo "$target/lib/postgresql/$major/bin"
}

# An apt of our own, which knows of no other suites and of no package that is installed.
own_apt() {
  local mirror suite
  mirror=$(command apt-get indextargets --format '$(REPO_URI)' 'Created-By: Packages' 'Origin: Debian' 'Label: Debian' | sort -u | head -n 1)
  [ -n "$mirror" ] || { echo "no Debian mirror is configured here, so there are no packages to take" >&2; exit 1; }
  mkdir -p "$work"/{etc/preferences.d,etc/apt.conf.d,state/lists/partial,cache/archives/partial}
  for suite in sid experimental; do
    echo "deb [signed-by=/usr/share/keyrings/debian-archive-keyring.gpg check-valid-until=no] $mirror $suite main"
  done >"$work/etc/sources.list"
  # Of these the newest, from whichever suite; everything else from sid.
  printf 'Package: %s\nPin: release a=experimental\nPin-Priority: 500\n' \
    "postgresql-$major postgresql-client-$major libpq5" >"$work/etc/preferences"
  touch "$work/status"
  apt update
}

apt() {
  local options=(-o Dir::Etc="$work/etc" -o Dir::State="$work/state" -o Dir::State::status="$work/status"
    -o Dir::Cache="$work/cache" -o APT::Sandbox::User="$(id -un)" -o Acquire::Languages=none)
  case $1 in
    update) apt-get "${options[@]}" -qq update ;;
    download-packages) apt-get "${options[@]}" -qq download "${@:2}" ;;
    dependencies)
      apt-cache "${options[@]}" depends --no-recommends --no-suggests --no-conflicts --no-breaks --no-replaces \
        --no-enhances "${@:2}"
      ;;
  esac
}

# The programs, the one that changes where they look for libraries, and all their libraries. What else a package
# depends on is for a server that is installed.
packages_needed() {
  local programs=("postgresql-$major" "postgresql-client-$major" patchelf "${extensions[@]}") libraries
  mapfile -t libraries < <(apt dependencies "${programs[@]}" | sed -n 's/.*Depends: //p' | only_libraries)
  printf '%s\n' "${programs[@]}"
  apt dependencies --recurse "${libraries[@]}" | only_libraries
}

only_libraries() { grep -E '^(lib[^ ]*|zlib1g)$' | sort -u; }

unpack() {
  local package
  mkdir "$work/root"
  for package in "$work"/*.deb; do dpkg-deb -x "$package" "$work/root"; done
  rm -rf "$target"
  mkdir -p "$target/lib/postgresql" "$target/share/postgresql" "$target/lib/system"
  cp -a "$work/root/usr/lib/postgresql/$major" "$target/lib/postgresql/"
  cp -a "$work/root/usr/share/postgresql/$major" "$target/share/postgresql/"
  find "$work/root" -path '*-linux-gnu/*.so*' -not -path '*-linux-gnu/*/*' -exec cp -a {} "$target/lib/system/" \;
}

# The path is one that holds for the libraries of libraries, and for those that are loaded later.
make_self_contained() {
  local loader program
  loader=$(find "$target/lib/system" -name 'ld-linux-*.so.*')
  for program in "$target/lib/postgresql/$major"/bin/*; do
    is_program "$program" || continue
    "$loader" --library-path "$target/lib/system" "$work/root/usr/bin/patchelf" --set-interpreter "$loader" \
      --force-rpath --set-rpath "$target/lib/system" "$program"
  done
}

is_program() { [ "$(head -c 4 "$1" | tail -c 3)" = ELF ]; }

main "$@"
