-- Every table of the wire contract (WIRE, "Tables in QuestDB"). A migration is never edited once released: the next one adds
-- to it, one column per ALTER. Times are TIMESTAMP (microseconds), as exact as the wire. Retention (TTL) is set by ingest at
-- its start, because a fleet with a virtual clock must have none.

create table if not exists events (
  ts TIMESTAMP, stream SYMBOL, seq LONG, line LONG, subject SYMBOL, event_type SYMBOL, event_id VARCHAR,
  account SYMBOL, source SYMBOL, body VARCHAR
) timestamp(ts) partition by day wal dedup upsert keys(ts, stream, seq, line);

create table if not exists anomalies (
  ts TIMESTAMP, schema_version LONG, account SYMBOL, source SYMBOL, event_id VARCHAR, cause VARCHAR, kind SYMBOL,
  value DECIMAL(38,12), threshold DECIMAL(38,12), evidence VARCHAR, meta_json VARCHAR
) timestamp(ts) partition by day wal dedup upsert keys(ts, account, source, event_id);

create table if not exists bot_processes (
  ts TIMESTAMP, schema_version LONG, account SYMBOL, source SYMBOL, event_id VARCHAR, cause VARCHAR, bot SYMBOL,
  state SYMBOL, pid LONG, exit_code LONG, last_lines VARCHAR, meta_json VARCHAR
) timestamp(ts) partition by day wal dedup upsert keys(ts, account, source, event_id);

create table if not exists bot_status (
  ts TIMESTAMP, schema_version LONG, account SYMBOL, source SYMBOL, event_id VARCHAR, cause VARCHAR, bot SYMBOL,
  status SYMBOL, previous SYMBOL, evidence VARCHAR, latency_ms DOUBLE, meta_json VARCHAR
) timestamp(ts) partition by day wal dedup upsert keys(ts, account, source, event_id);

create table if not exists equity (
  ts TIMESTAMP, schema_version LONG, account SYMBOL, source SYMBOL, event_id VARCHAR, cause VARCHAR,
  equity DECIMAL(38,12), balance DECIMAL(38,12), realized_pnl DECIMAL(38,12), unrealized_pnl DECIMAL(38,12),
  drawdown DECIMAL(38,12), regime SYMBOL, net_deposits DECIMAL(38,12), priced BOOLEAN, positions VARCHAR,
  meta_json VARCHAR
) timestamp(ts) partition by day wal dedup upsert keys(ts, account, source, event_id);

create table if not exists heartbeats (
  ts TIMESTAMP, schema_version LONG, account SYMBOL, source SYMBOL, event_id VARCHAR, cause VARCHAR, instance SYMBOL,
  uptime_s DOUBLE, mode SYMBOL, pnl DECIMAL(38,12), open_positions LONG, last_tick_at TIMESTAMP,
  last_decision_at TIMESTAMP, loop_lag_ms DOUBLE, version SYMBOL, profile SYMBOL, pid LONG, seq LONG,
  meta_json VARCHAR
) timestamp(ts) partition by day wal dedup upsert keys(ts, account, source, event_id);

create table if not exists local_verdicts (
  ts TIMESTAMP, schema_version LONG, account SYMBOL, source SYMBOL, event_id VARCHAR, cause VARCHAR, order_id VARCHAR,
  symbol SYMBOL, side SYMBOL, order_type SYMBOL, qty DECIMAL(38,12), price DECIMAL(38,12), stop_price DECIMAL(38,12),
  reduce_only BOOLEAN, time_in_force SYMBOL, leverage DECIMAL(38,12), reference_price DECIMAL(38,12), strategy SYMBOL,
  position_id VARCHAR, replaces VARCHAR, signal_id VARCHAR, signal_context VARCHAR, decision SYMBOL, reason SYMBOL,
  policy SYMBOL, meta_json VARCHAR
) timestamp(ts) partition by day wal dedup upsert keys(ts, account, source, event_id);

create table if not exists meta_reports (
  ts TIMESTAMP, schema_version LONG, account SYMBOL, source SYMBOL, event_id VARCHAR, cause VARCHAR, meta_json VARCHAR
) timestamp(ts) partition by day wal dedup upsert keys(ts, account, source, event_id);

create table if not exists mode_changes (
  ts TIMESTAMP, schema_version LONG, account SYMBOL, source SYMBOL, event_id VARCHAR, cause VARCHAR, bot SYMBOL,
  desired SYMBOL, effective SYMBOL, reported SYMBOL, by SYMBOL, reason VARCHAR, meta_json VARCHAR
) timestamp(ts) partition by day wal dedup upsert keys(ts, account, source, event_id);

create table if not exists operator_commands (
  ts TIMESTAMP, schema_version LONG, account SYMBOL, source SYMBOL, event_id VARCHAR, cause VARCHAR, command SYMBOL,
  reason VARCHAR, by SYMBOL, role SYMBOL, idempotency_key VARCHAR, target VARCHAR, meta_json VARCHAR
) timestamp(ts) partition by day wal dedup upsert keys(ts, account, source, event_id);

create table if not exists order_decisions (
  ts TIMESTAMP, schema_version LONG, account SYMBOL, source SYMBOL, event_id VARCHAR, cause VARCHAR, order_id VARCHAR,
  symbol SYMBOL, side SYMBOL, order_type SYMBOL, qty DECIMAL(38,12), price DECIMAL(38,12), stop_price DECIMAL(38,12),
  reduce_only BOOLEAN, time_in_force SYMBOL, leverage DECIMAL(38,12), reference_price DECIMAL(38,12), strategy SYMBOL,
  position_id VARCHAR, replaces VARCHAR, signal_id VARCHAR, signal_context VARCHAR, bot SYMBOL, door SYMBOL,
  decision SYMBOL, reason SYMBOL, message VARCHAR, check SYMBOL, value DECIMAL(38,12), limit_value DECIMAL(38,12),
  allowed_qty DECIMAL(38,12), opening_qty DECIMAL(38,12), hold_price DECIMAL(38,12), reserved_notional DECIMAL(38,12), replaced_filled DECIMAL(38,12),
  valid_until TIMESTAMP, trading_state SYMBOL, size_factor DECIMAL(38,12), ref_price DECIMAL(38,12),
  ref_price_source SYMBOL, equity_event VARCHAR, limits_revision LONG, content_hash VARCHAR, duplicate BOOLEAN,
  meta_json VARCHAR
) timestamp(ts) partition by day wal dedup upsert keys(ts, account, source, event_id);

create table if not exists order_events (
  ts TIMESTAMP, schema_version LONG, account SYMBOL, source SYMBOL, event_id VARCHAR, cause VARCHAR, order_id VARCHAR,
  status SYMBOL, symbol SYMBOL, side SYMBOL, last_qty DECIMAL(38,12), last_price DECIMAL(38,12),
  filled_qty DECIMAL(38,12), leaves_qty DECIMAL(38,12), fee DECIMAL(38,12), fill_id VARCHAR, detail VARCHAR,
  meta_json VARCHAR
) timestamp(ts) partition by day wal dedup upsert keys(ts, account, source, event_id);

create table if not exists policy_actions (
  ts TIMESTAMP, schema_version LONG, account SYMBOL, source SYMBOL, event_id VARCHAR, cause VARCHAR, action_id VARCHAR,
  action SYMBOL, scope VARCHAR, params VARCHAR, direction SYMBOL, valid_until TIMESTAMP, decision_id VARCHAR,
  policy_revision LONG, effective_state VARCHAR, determining_rules VARCHAR, proposal_id VARCHAR, meta_json VARCHAR
) timestamp(ts) partition by day wal dedup upsert keys(ts, account, source, event_id);

create table if not exists proposals (
  ts TIMESTAMP, schema_version LONG, account SYMBOL, source SYMBOL, event_id VARCHAR, cause VARCHAR,
  proposal_id VARCHAR, revision LONG, kind SYMBOL, action VARCHAR, digest VARCHAR, direction SYMBOL, state SYMBOL,
  reason VARCHAR, evidence VARCHAR, report_path VARCHAR, requested_by SYMBOL, approve_by TIMESTAMP,
  execute_by TIMESTAMP, required VARCHAR, approvals VARCHAR, outcome VARCHAR, meta_json VARCHAR
) timestamp(ts) partition by day wal dedup upsert keys(ts, account, source, event_id);

create table if not exists risk_reviews (
  ts TIMESTAMP, schema_version LONG, account SYMBOL, source SYMBOL, event_id VARCHAR, cause VARCHAR, action SYMBOL,
  risk_multiplier DECIMAL(38,12), reason VARCHAR, confidence DOUBLE, review_source SYMBOL, model SYMBOL,
  meta_json VARCHAR
) timestamp(ts) partition by day wal dedup upsert keys(ts, account, source, event_id);

create table if not exists risk_state (
  ts TIMESTAMP, schema_version LONG, account SYMBOL, source SYMBOL, event_id VARCHAR, cause VARCHAR,
  trading_state SYMBOL, halts VARCHAR, equity DECIMAL(38,12), trusted SYMBOL, daily_loss DECIMAL(38,12),
  daily_loss_limit DECIMAL(38,12), drawdown DECIMAL(38,12), max_drawdown DECIMAL(38,12), gross_exposure DECIMAL(38,12),
  leverage DECIMAL(38,12), manual_close_needed BOOLEAN, day SYMBOL, e0 DECIMAL(38,12), meta_json VARCHAR
) timestamp(ts) partition by day wal dedup upsert keys(ts, account, source, event_id);

create table if not exists signal_reviews (
  ts TIMESTAMP, schema_version LONG, account SYMBOL, source SYMBOL, event_id VARCHAR, cause VARCHAR, signal_id VARCHAR,
  stance SYMBOL, comment VARCHAR, confidence DOUBLE, effect SYMBOL, size_factor DECIMAL(38,12), applied SYMBOL,
  holdout SYMBOL, review_source SYMBOL, model SYMBOL, latency_ms DOUBLE, cost_usd DECIMAL(38,12), meta_json VARCHAR
) timestamp(ts) partition by day wal dedup upsert keys(ts, account, source, event_id);

create table if not exists signals (
  ts TIMESTAMP, schema_version LONG, account SYMBOL, source SYMBOL, event_id VARCHAR, cause VARCHAR, signal_id VARCHAR,
  symbol SYMBOL, side SYMBOL, size DECIMAL(38,12), price DECIMAL(38,12), strategy SYMBOL, decision SYMBOL,
  model_conf DOUBLE, features VARCHAR, pnl_state VARCHAR, history VARCHAR, regime SYMBOL, stance SYMBOL,
  order_id VARCHAR, meta_json VARCHAR
) timestamp(ts) partition by day wal dedup upsert keys(ts, account, source, event_id);

create table if not exists trades (
  ts TIMESTAMP, schema_version LONG, account SYMBOL, source SYMBOL, event_id VARCHAR, cause VARCHAR, symbol SYMBOL,
  side SYMBOL, price DECIMAL(38,12), qty DECIMAL(38,12), pnl DECIMAL(38,12), order_id VARCHAR, position_id VARCHAR,
  fee DECIMAL(38,12), strategy SYMBOL, opened_at TIMESTAMP, close_reason VARCHAR, slippage_bps DECIMAL(38,12),
  regime SYMBOL, meta_json VARCHAR
) timestamp(ts) partition by day wal dedup upsert keys(ts, account, source, event_id);
