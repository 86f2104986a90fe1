-- One new order a request: `wrk -s order.lua URL -- TOKEN TAG`. Prints one line of figures at the end.
local count, tag, head = 0, "", ""

function init(args)
  tag = args[2]
  wrk.headers["Authorization"] = "Bearer " .. args[1]
  wrk.headers["Content-Type"] = "application/json"
  head = '{"event_type":"ORDER_REQUEST","schema_version":1,"account":"main","source":"qe1","order_id":"' .. tag
end

function request()
  count = count + 1
  return wrk.format("POST", nil, nil, head .. count ..
    '","strategy":"scalp","symbol":"BTC-PERP","side":"BUY","order_type":"LIMIT","qty":"0.010","price":"43000.5",' ..
    '"reduce_only":false,"time_in_force":"GTC","leverage":"3","reference_price":"43001","position_id":"p-77"}')
end

function done(summary, latency, requests)
  local errors = summary.errors
  io.write(string.format("FIGURES %d %d %d %d\n", summary.requests, summary.duration,
    errors.connect + errors.read + errors.write + errors.status + errors.timeout, latency:percentile(50)))
end
