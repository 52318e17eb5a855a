/* A stand-in for NVIDIA's management library with the few calls that clipfarm makes.
 *
 * Its numbers come from the file named by NVML_STUB, read at each call, one line a GPU: "used total reserved", MiB.
 * The word "gone" in place of the first line makes every call fail as after a driver update; "v1" as the first line
 * means a driver without the second version of the memory call.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { SUCCESS = 0, INVALID_ARGUMENT = 2, NOT_SUPPORTED = 3, LIB_RM_VERSION_MISMATCH = 18 };
enum { MAX_GPUS = 16 };

struct gpu { unsigned long long used, total, reserved; };
struct state { int gone, v1, count; struct gpu gpus[MAX_GPUS]; };
struct memory { unsigned long long total, free, used; };
struct memory_v2 { unsigned int version; unsigned long long total, reserved, free, used; };

static struct state load(void) {
    struct state state = {0};
    const char *path = getenv("NVML_STUB");
    FILE *file = path ? fopen(path, "r") : NULL;
    if (!file) { state.gone = 1; return state; }
    char line[256];
    while (fgets(line, sizeof line, file) && state.count < MAX_GPUS) {
        struct gpu gpu = {0};
        if (!strncmp(line, "gone", 4)) state.gone = 1;
        else if (!strncmp(line, "v1", 2)) state.v1 = 1;
        else if (sscanf(line, "%llu %llu %llu", &gpu.used, &gpu.total, &gpu.reserved) >= 2) {
            gpu.used <<= 20; gpu.total <<= 20; gpu.reserved <<= 20;
            state.gpus[state.count++] = gpu;
        }
    }
    fclose(file);
    return state;
}

int nvmlInitWithFlags(unsigned int flags) { (void)flags; return load().gone ? LIB_RM_VERSION_MISMATCH : SUCCESS; }
int nvmlShutdown(void) { return SUCCESS; }

int nvmlDeviceGetCount_v2(unsigned int *count) { *count = (unsigned)load().count; return SUCCESS; }

int nvmlDeviceGetHandleByIndex_v2(unsigned int index, void **handle) {
    if ((int)index >= load().count) return INVALID_ARGUMENT;
    *handle = (void *)(size_t)(index + 1);
    return SUCCESS;
}

int nvmlDeviceGetUUID(void *handle, char *uuid, unsigned int length) {
    snprintf(uuid, length, "GPU-0000000%zu-stub", (size_t)handle - 1);
    return SUCCESS;
}

int nvmlDeviceGetMemoryInfo_v2(void *handle, struct memory_v2 *memory) {
    struct state state = load();
    if (state.gone) return LIB_RM_VERSION_MISMATCH;
    if (state.v1) return NOT_SUPPORTED;
    struct gpu gpu = state.gpus[(size_t)handle - 1];
    memory->total = gpu.total; memory->reserved = gpu.reserved; memory->used = gpu.used;
    memory->free = gpu.total - gpu.reserved - gpu.used;
    return SUCCESS;
}

int nvmlDeviceGetMemoryInfo(void *handle, struct memory *memory) {
    struct state state = load();
    if (state.gone) return LIB_RM_VERSION_MISMATCH;
    struct gpu gpu = state.gpus[(size_t)handle - 1];
    memory->total = gpu.total; memory->used = gpu.used + gpu.reserved; memory->free = gpu.total - memory->used;
    return SUCCESS;
}

const char *nvmlErrorString(int result) {
    return result == LIB_RM_VERSION_MISMATCH ? "RM has detected an NVML/RM version mismatch." : "error of the stand-in";
}
