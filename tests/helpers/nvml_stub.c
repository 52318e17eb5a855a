/* A stand-in for NVIDIA's management library with the few calls that clipfarm makes.
 *
 * Its numbers come from the file named by NVML_STUB, read at each call, one line a GPU: "used total reserved", MiB.
 * Lines below a GPU belong to it: "mig ID used total reserved PROFILE" is an instance of it, "process PID MiB" uses
 * what stands above ("process PID unknown": the driver does not say how much), "lost" is a GPU whose memory cannot be read,
 * "shared" one without memory of its own, "off" one that fell off its bus, so that nothing of it can.
 * First lines: "gone" makes every call fail as after a driver update; "v1" means a driver without the second version
 * of the memory call and without instances; "hang" has calls wait until the file says otherwise.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum {
    SUCCESS = 0, INVALID_ARGUMENT = 2, NOT_SUPPORTED = 3, NOT_FOUND = 6, INSUFFICIENT_SIZE = 7, GPU_IS_LOST = 15,
    LIB_RM_VERSION_MISMATCH = 18
};
enum { MAX_PARTS = 32, MAX_PROCESSES = 8, WHOLE = -1 };

struct process { unsigned int pid; unsigned long long used; unsigned int gpu_instance, compute_instance; };
struct part {
    unsigned long long used, total, reserved;
    int gpu, instance, lost, off, shared, processes;
    struct process process[MAX_PROCESSES];
    char profile[32];
};
struct state { int gone, v1, hang, count, gpus; struct part parts[MAX_PARTS]; };
struct memory { unsigned long long total, free, used; };
struct memory_v2 { unsigned int version; unsigned long long total, reserved, free, used; };
struct pci { char legacy[16]; unsigned int domain, bus, device, device_id, subsystem_id; char bus_id[32]; };

static void add_process(struct part *part, const char *line) {
    struct process process = {0};
    char used[32];
    if (part->processes == MAX_PROCESSES || sscanf(line, "process %u %31s", &process.pid, used) != 2) return;
    process.used = strcmp(used, "unknown") ? strtoull(used, NULL, 10) << 20 : ~0ULL;
    part->process[part->processes++] = process;
}

static struct state load(void) {
    struct state state = {0};
    const char *path = getenv("NVML_STUB");
    FILE *file = path ? fopen(path, "r") : NULL;
    if (!file) { state.gone = 1; return state; }
    char line[256];
    while (fgets(line, sizeof line, file) && state.count < MAX_PARTS) {
        struct part part = {.instance = WHOLE}, *last = state.count ? &state.parts[state.count - 1] : NULL;
        if (!strncmp(line, "gone", 4)) state.gone = 1;
        else if (!strncmp(line, "v1", 2)) state.v1 = 1;
        else if (!strncmp(line, "hang", 4)) state.hang = 1;
        else if (last && !strncmp(line, "lost", 4)) last->lost = 1;
        else if (last && !strncmp(line, "off", 3)) last->off = 1;
        else if (last && !strncmp(line, "shared", 6)) last->shared = 1;
        else if (last && !strncmp(line, "process", 7)) add_process(last, line);
        else {
            int instance = sscanf(line, "mig %d %llu %llu %llu %31s", &part.instance, &part.used, &part.total,
                                  &part.reserved, part.profile) == 5;
            if (!instance && sscanf(line, "%llu %llu %llu", &part.used, &part.total, &part.reserved) < 2) continue;
            part.gpu = instance ? state.gpus - 1 : state.gpus++;
            part.used <<= 20; part.total <<= 20; part.reserved <<= 20;
            state.parts[state.count++] = part;
        }
    }
    fclose(file);
    return state;
}

/* What each call about a GPU begins with. */
static int look(void *handle, struct state *state, struct part *part) {
    while (*state = load(), state->hang) usleep(20000);
    if (state->gone) return LIB_RM_VERSION_MISMATCH;
    if ((int)(size_t)handle > state->count) return GPU_IS_LOST;
    *part = state->parts[(size_t)handle - 1];
    return SUCCESS;
}

static int instances(const struct state *state, int gpu) {
    int count = 0;
    for (int i = 0; i < state->count; i++) count += state->parts[i].gpu == gpu && state->parts[i].instance != WHOLE;
    return count;
}

/* The handle of a GPU, or of the number-th instance of it; they count from 1. */
static void *find(const struct state *state, int gpu, int number) {
    for (int i = 0; i < state->count; i++) {
        const struct part *part = &state->parts[i];
        if (part->gpu != gpu || (part->instance == WHOLE) != (number == WHOLE)) continue;
        if (number == WHOLE || number-- == 0) return (void *)(size_t)(i + 1);
    }
    return NULL;
}

int nvmlInitWithFlags(unsigned int flags) { (void)flags; return load().gone ? LIB_RM_VERSION_MISMATCH : SUCCESS; }
int nvmlShutdown(void) { return SUCCESS; }

int nvmlDeviceGetCount_v2(unsigned int *count) { *count = (unsigned)load().gpus; return SUCCESS; }

int nvmlDeviceGetHandleByIndex_v2(unsigned int index, void **handle) {
    struct state state = load();
    *handle = find(&state, (int)index, WHOLE);
    if (*handle && state.parts[(size_t)*handle - 1].off) return GPU_IS_LOST;
    return *handle ? SUCCESS : INVALID_ARGUMENT;
}

int nvmlDeviceGetUUID(void *handle, char *uuid, unsigned int length) {
    struct state state; struct part part;
    int status = look(handle, &state, &part);
    if (status) return status;
    if (part.instance == WHOLE) snprintf(uuid, length, "GPU-0000000%d-stub", part.gpu);
    else snprintf(uuid, length, "MIG-0000000%d-%d-stub", part.gpu, part.instance);
    return SUCCESS;
}

int nvmlDeviceGetName(void *handle, char *name, unsigned int length) {
    struct state state; struct part part;
    int status = look(handle, &state, &part);
    if (status) return status;
    snprintf(name, length, "NVIDIA Stand-in%s%s", part.instance == WHOLE ? "" : " MIG ", part.profile);
    return SUCCESS;
}

int nvmlSystemGetDriverVersion(char *version, unsigned int length) {
    if (load().gone) return LIB_RM_VERSION_MISMATCH;
    snprintf(version, length, "580.0-stub");
    return SUCCESS;
}

/* One that Blender has no machine code for. */
int nvmlDeviceGetCudaComputeCapability(void *handle, int *major, int *minor) {
    struct state state; struct part part;
    int status = look(handle, &state, &part);
    *major = 12; *minor = 1;
    return status;
}

int nvmlDeviceGetPciInfo_v3(void *handle, struct pci *pci) {
    struct state state; struct part part;
    int status = look(handle, &state, &part);
    if (status) return status;
    memset(pci, 0, sizeof *pci);
    snprintf(pci->bus_id, sizeof pci->bus_id, "00000000:%02X:00.0", part.gpu + 1);
    return SUCCESS;
}

int nvmlDeviceGetMemoryInfo_v2(void *handle, struct memory_v2 *memory) {
    struct state state; struct part part;
    int status = look(handle, &state, &part);
    if (status) return status;
    if (part.lost) return GPU_IS_LOST;
    if (part.shared) return NOT_SUPPORTED;
    if (state.v1) return NOT_SUPPORTED;
    memory->total = part.total; memory->reserved = part.reserved; memory->used = part.used;
    memory->free = part.total - part.reserved - part.used;
    return SUCCESS;
}

int nvmlDeviceGetMemoryInfo(void *handle, struct memory *memory) {
    struct state state; struct part part;
    int status = look(handle, &state, &part);
    if (status) return status;
    if (part.lost) return GPU_IS_LOST;
    if (part.shared) return NOT_SUPPORTED;
    memory->total = part.total; memory->used = part.used + part.reserved; memory->free = part.total - memory->used;
    return SUCCESS;
}

int nvmlDeviceGetMigMode(void *handle, unsigned int *current, unsigned int *pending) {
    struct state state; struct part part;
    int status = look(handle, &state, &part);
    if (status) return status;
    if (state.v1) return NOT_SUPPORTED;
    *current = *pending = instances(&state, part.gpu) > 0;
    return SUCCESS;
}

int nvmlDeviceGetMaxMigDeviceCount(void *handle, unsigned int *count) { (void)handle; *count = 7; return SUCCESS; }

/* The first place is free, as after an instance has been removed. */
int nvmlDeviceGetMigDeviceHandleByIndex(void *handle, unsigned int index, void **instance) {
    struct state state; struct part part;
    int status = look(handle, &state, &part);
    if (status) return status;
    *instance = index ? find(&state, part.gpu, (int)index - 1) : NULL;
    return *instance ? SUCCESS : NOT_FOUND;
}

int nvmlDeviceGetGpuInstanceId(void *handle, unsigned int *id) {
    struct state state; struct part part;
    int status = look(handle, &state, &part);
    if (status) return status;
    *id = (unsigned)part.instance;
    return SUCCESS;
}

int nvmlDeviceGetComputeRunningProcesses_v3(void *handle, unsigned int *count, struct process *processes) {
    struct state state; struct part part;
    int status = look(handle, &state, &part);
    if (status) return status;
    unsigned int room = *count;
    *count = (unsigned)part.processes;
    if (room < *count) return INSUFFICIENT_SIZE;
    if (*count) memcpy(processes, part.process, *count * sizeof *processes);
    return SUCCESS;
}

const char *nvmlErrorString(int result) {
    if (result == GPU_IS_LOST) return "GPU is lost";
    return result == LIB_RM_VERSION_MISMATCH ? "RM has detected an NVML/RM version mismatch." : "error of the stand-in";
}
