-- What Argo CD shows of a BenchmarkRun. docs/operator.md says how to install it.
local status = obj.status or {}
local conditions = {}
for _, condition in ipairs(status.conditions or {}) do
  conditions[condition.type] = condition
end

local function is_true(kind)
  return conditions[kind] ~= nil and conditions[kind].status == "True"
end

local function health(name, kind)
  local condition = conditions[kind] or {}
  return {status = name, message = condition.message or "no operator has looked at this run yet"}
end

if obj.metadata.deletionTimestamp ~= nil then
  return {status = "Progressing", message = "the run is being deleted; its clips stay"}
end
-- Conditions of an earlier generation say nothing about what is asked for now.
if status.observedGeneration ~= nil and status.observedGeneration >= 0
    and status.observedGeneration ~= obj.metadata.generation then
  return {status = "Progressing", message = "no operator has looked at the run's last change yet"}
end
if is_true("Complete") then
  return health("Healthy", "Complete")
end
if is_true("Failed") then
  return health("Degraded", "Failed")
end
if is_true("Stalled") then
  return health("Degraded", "Stalled")
end
if status.phase == "Suspended" then
  return health("Suspended", "Progressing")
end
if is_true("Reconciling") then
  return health("Progressing", "Reconciling")
end
return health("Progressing", "Ready")
