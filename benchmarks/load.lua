-- The request, from the environment; each body is made unique. Prints the result as one line of JSON.
local body, prefix = os.getenv("BODY"), os.getenv("PREFIX")
wrk.method = os.getenv("METHOD")
for name, value in string.gmatch(os.getenv("HEADERS"), "([^\n:]+): ([^\n]*)") do
  wrk.headers[name] = value
end
if body ~= "" then
  wrk.body = body
  local number = 0
  request = function()
    number = number + 1
    return wrk.format(nil, nil, nil, (body:gsub("UNIQUE", prefix .. number)))
  end
end
function done(summary, latency)
  local failed = summary.errors
  io.write(string.format(
    'DONE {"requests":%d,"seconds":%f,"p50":%f,"p95":%f,"p99":%f,"errors":%d}\n',
    summary.requests, summary.duration / 1e6, latency:percentile(50) / 1e3,
    latency:percentile(95) / 1e3, latency:percentile(99) / 1e3,
    failed.status + failed.connect + failed.read + failed.write + failed.timeout))
end
