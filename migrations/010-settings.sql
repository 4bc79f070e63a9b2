-- The settings under which the condition of a candidate set was read; of a set that was there before, the search path is all that was its own.
alter table candidate_set add column settings jsonb;
update candidate_set set settings = jsonb_build_object('search_path', search_path);
alter table candidate_set alter column settings set not null;
alter table candidate_set drop column search_path;
