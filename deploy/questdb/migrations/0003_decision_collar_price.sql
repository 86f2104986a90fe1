-- The fresh price that an order's own was held against.

alter table order_decisions add column if not exists collar_price DECIMAL(38,12);
