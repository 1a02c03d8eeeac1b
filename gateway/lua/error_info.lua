-- The detail that every error has: what it is called, and by which ids the platform's logs and traces tell more of it.

local M = {}

-- The request's ids, noted on the way in for the way out.
function M.note_ids(handle)
  local headers, metadata = handle:headers(), handle:streamInfo():dynamicMetadata()
  metadata:set("gateway", "request_id", headers:get("x-request-id") or "")
  metadata:set("gateway", "trace_id", headers:get("x-trace-id") or "")
  headers:remove("x-trace-id") -- it was put there for this
end

-- The ids, as they were noted.
function M.ids(handle)
  local noted = handle:streamInfo():dynamicMetadata():get("gateway") or {}
  return noted.request_id or "", noted.trace_id or ""
end

-- The detail as JSON.
function M.json(handle, reason)
  local request_id, trace_id = M.ids(handle)
  return string.format(
    '{"@type":"type.googleapis.com/google.rpc.ErrorInfo","reason":"%s","domain":"mirage",'
      .. '"metadata":{"request_id":"%s","trace_id":"%s"}}',
    reason, request_id, trace_id
  )
end

return M
