-- The file that the rows of the table were in when a batch was done: in another one, addresses mean other rows.
alter table purge_batch add column file text;
