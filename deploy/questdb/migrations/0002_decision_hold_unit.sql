-- What one unit of an allowed quantity holds: a column of its own, for whoever checks posted + held against a limit.

alter table order_decisions add column if not exists hold_unit DECIMAL(38,12);
