-- For wrk: walks a list of paths (or repeats one) and prints what was measured as one line of JSON.
-- Arguments after "--": the file with one path a line, and where to begin.

local requests = {}
local next_request = 1

function init(args)
  local skip = tonumber(args[2])
  for path in io.lines(args[1]) do
    requests[#requests + 1] = wrk.format(nil, path)
  end
  next_request = skip % #requests + 1
end

function request()
  local made = requests[next_request]
  next_request = next_request % #requests + 1
  return made
end

function done(summary, latency)
  io.write(string.format(
    'RESULT {"requests":%d,"microseconds":%d,"bytes":%d,"p50":%d,"p99":%d,"errors":%d}\n',
    summary.requests, summary.duration, summary.bytes, latency:percentile(50), latency:percentile(99),
    summary.errors.connect + summary.errors.read + summary.errors.write + summary.errors.status + summary.errors.timeout))
end
