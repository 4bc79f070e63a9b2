-- Partitions that are moved to another server: where their copy is, so that it can be said where one is left when the move is
-- given up.
alter table retirement add column server text;
