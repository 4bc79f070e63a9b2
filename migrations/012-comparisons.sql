-- Key ranges of a copy that have been compared with its source: each written when it is done, so a kill costs one.
create table comparison (
  run_id bigint not null references run (id) on delete cascade,
  number bigint not null,
  -- The last key of the range, a text for each column; null for the last range, which has no end.
  upto text[],
  -- Rows of the copy in it.
  rows bigint not null,
  -- How many rows are not as they should be, by what is wrong with them, and some of their keys; null where all are.
  differences jsonb,
  milliseconds double precision not null,
  primary key (run_id, number)
);
