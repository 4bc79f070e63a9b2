-- In a plan, the table as it was before a copy or a conversion is called `original`: rollback, retire and abandon read it.
update run set plan = jsonb_set(plan #- '{rebuild,former}', '{rebuild,original}', plan #> '{rebuild,former}')
where plan #> '{rebuild,former}' is not null;
update run set plan = jsonb_set(plan #- '{conversion,former}', '{conversion,original}', plan #> '{conversion,former}')
where plan #> '{conversion,former}' is not null;
