/* A libnvidia-ml.so.1 that says what a script tells it to.
 *
 * The script is the file named by NVML_STUB_SCRIPT, read anew at every call, so that a test can
 * change the machine while a program looks at it. Lines are `KEY VALUE`:
 *
 *   driver 570.86.15              version of the driver
 *   generation 2                  raised when the driver is loaded anew: sessions before it end
 *   fail.FUNCTION 999             what FUNCTION returns, for every GPU
 *   hang.FUNCTION 1               FUNCTION does not return until the line is gone
 *   gpuN.uuid, .name, .total, .used, .reserved, .util, .power, .limit, .temp, .sm, .mem,
 *   gpuN.reasons, .ecc, .recovery
 *   gpuN.compute 123:4096 124:?   processes with bytes of memory; `?` is not available
 *   gpuN.graphics …
 *   gpuN.status 15                what every call about the GPU returns; GPU_IS_LOST (15) stays
 *                                 until NVML is initialised anew
 *   gpuN.handle 15                what asking for its handle returns
 *   gpuN.mig 1                    MIG is on; instances are gpuN.migM.uuid and so on
 *
 * A key without a line is a field that is not supported. GPUs are numbered from 0 without a gap.
 * Every initialisation appends a line to SCRIPT.inits. With -DOLD_DRIVER the functions are missing
 * that drivers before 535 do not have. Types are those of nvml.h.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

typedef int nvmlReturn_t;
enum {
    SUCCESS = 0,
    UNINITIALIZED = 1,
    INVALID_ARGUMENT = 2,
    NOT_SUPPORTED = 3,
    NOT_FOUND = 6,
    INSUFFICIENT_SIZE = 7,
    GPU_IS_LOST = 15,
    ARGUMENT_VERSION_MISMATCH = 25,
};
enum { GPUS = 16, INSTANCES = 7, LINE = 4096 };

typedef struct {
    int gpu, instance; /* instance is -1 for a whole GPU */
} device;
typedef device *nvmlDevice_t;

typedef struct {
    unsigned long long total, free, used;
} nvmlMemory_t;
typedef struct {
    unsigned int version;
    unsigned long long total, reserved, free, used;
} nvmlMemory_v2_t;
typedef struct {
    unsigned int gpu, memory;
} nvmlUtilization_t;
typedef struct {
    unsigned int pid;
    unsigned long long usedGpuMemory;
    unsigned int gpuInstanceId, computeInstanceId;
} nvmlProcessInfo_t;
typedef struct {
    unsigned int version;
    int sensorType, temperature;
} nvmlTemperature_t;
typedef union {
    double dVal;
    unsigned int uiVal;
    unsigned long ulVal;
    unsigned long long ullVal;
    long long sllVal;
    int siVal;
    unsigned short usVal;
} nvmlValue_t;
typedef struct {
    unsigned int fieldId, scopeId;
    long long timestamp, latencyUsec;
    int valueType;
    nvmlReturn_t nvmlReturn;
    nvmlValue_t value;
} nvmlFieldValue_t;

static device wholes[GPUS], instances[GPUS][INSTANCES];
static int lost[GPUS];
static int initialized, generation;

/* The value of a key; 0 if the script has no such line. */
static int look_up(const char *key, char *value) {
    const char *path = getenv("NVML_STUB_SCRIPT");
    FILE *file = path ? fopen(path, "r") : NULL;
    char line[LINE];
    int found = 0;
    size_t length = strlen(key);
    while (file && !found && fgets(line, sizeof line, file)) {
        if (strncmp(line, key, length) == 0 && line[length] == ' ') {
            line[strcspn(line, "\n")] = 0;
            strcpy(value, line + length + 1);
            found = 1;
        }
    }
    if (file)
        fclose(file);
    return found;
}

static int number_of(const char *key, int otherwise) {
    char value[LINE];
    return look_up(key, value) ? atoi(value) : otherwise;
}

/* What holds for every call: it may hang, fail, or come after the driver went away. */
static nvmlReturn_t enter(const char *function) {
    char key[LINE];
    snprintf(key, sizeof key, "hang.%s", function);
    while (number_of(key, 0))
        usleep(5000);
    snprintf(key, sizeof key, "fail.%s", function);
    nvmlReturn_t failure = number_of(key, SUCCESS);
    if (failure != SUCCESS)
        return failure;
    return initialized && generation == number_of("generation", 1) ? SUCCESS : UNINITIALIZED;
}

static int field_of(nvmlDevice_t gpu, const char *field, char *value) {
    char key[LINE];
    if (gpu->instance < 0)
        snprintf(key, sizeof key, "gpu%d.%s", gpu->gpu, field);
    else
        snprintf(key, sizeof key, "gpu%d.mig%d.%s", gpu->gpu, gpu->instance, field);
    return look_up(key, value);
}

static nvmlReturn_t enter_gpu(nvmlDevice_t gpu, const char *function) {
    char key[LINE];
    nvmlReturn_t failure = enter(function);
    if (failure != SUCCESS)
        return failure;
    snprintf(key, sizeof key, "gpu%d.status", gpu->gpu);
    failure = number_of(key, SUCCESS);
    lost[gpu->gpu] |= failure == GPU_IS_LOST;
    return lost[gpu->gpu] ? GPU_IS_LOST : failure;
}

static nvmlReturn_t read_number(nvmlDevice_t gpu, const char *function, const char *field,
                                unsigned long long *number) {
    char value[LINE];
    nvmlReturn_t failure = enter_gpu(gpu, function);
    if (failure != SUCCESS)
        return failure;
    if (!field_of(gpu, field, value))
        return NOT_SUPPORTED;
    *number = strtoull(value, NULL, 0);
    return SUCCESS;
}

static nvmlReturn_t read_unsigned(nvmlDevice_t gpu, const char *function, const char *field,
                                  unsigned int *number) {
    unsigned long long wide;
    nvmlReturn_t failure = read_number(gpu, function, field, &wide);
    if (failure == SUCCESS)
        *number = (unsigned int)wide;
    return failure;
}

static nvmlReturn_t read_text(nvmlDevice_t gpu, const char *function, const char *field, char *text,
                              unsigned int length) {
    char value[LINE];
    nvmlReturn_t failure = enter_gpu(gpu, function);
    if (failure != SUCCESS)
        return failure;
    if (!field_of(gpu, field, value))
        return NOT_SUPPORTED;
    if (strlen(value) >= length)
        return INSUFFICIENT_SIZE;
    strcpy(text, value);
    return SUCCESS;
}

nvmlReturn_t nvmlInitWithFlags(unsigned int flags) {
    char path[LINE];
    (void)flags;
    snprintf(path, sizeof path, "%s.inits", getenv("NVML_STUB_SCRIPT"));
    FILE *file = fopen(path, "a");
    if (file) {
        fputs("init\n", file);
        fclose(file);
    }
    initialized = 1;
    generation = number_of("generation", 1);
    memset(lost, 0, sizeof lost);
    nvmlReturn_t failure = enter(__func__);
    initialized = failure == SUCCESS;
    return failure;
}

nvmlReturn_t nvmlShutdown(void) {
    initialized = 0;
    return SUCCESS;
}

const char *nvmlErrorString(nvmlReturn_t result) {
    return result == 1000 ? "An error of the stub" : "Error";
}

nvmlReturn_t nvmlSystemGetDriverVersion(char *version, unsigned int length) {
    char value[LINE];
    nvmlReturn_t failure = enter(__func__);
    if (failure != SUCCESS)
        return failure;
    if (!look_up("driver", value))
        return NOT_SUPPORTED;
    snprintf(version, length, "%s", value);
    return SUCCESS;
}

nvmlReturn_t nvmlDeviceGetCount_v2(unsigned int *count) {
    char key[LINE], value[LINE];
    nvmlReturn_t failure = enter(__func__);
    if (failure != SUCCESS)
        return failure;
    for (*count = 0; *count < GPUS; ++*count) {
        snprintf(key, sizeof key, "gpu%u.uuid", *count);
        if (!look_up(key, value))
            break;
    }
    return SUCCESS;
}

nvmlReturn_t nvmlDeviceGetHandleByIndex_v2(unsigned int index, nvmlDevice_t *gpu) {
    char key[LINE];
    nvmlReturn_t failure = enter(__func__);
    if (failure != SUCCESS)
        return failure;
    if (index >= GPUS)
        return INVALID_ARGUMENT;
    snprintf(key, sizeof key, "gpu%u.handle", index);
    failure = number_of(key, SUCCESS);
    if (failure != SUCCESS)
        return failure;
    wholes[index] = (device){(int)index, -1};
    *gpu = &wholes[index];
    return SUCCESS;
}

nvmlReturn_t nvmlDeviceGetUUID(nvmlDevice_t gpu, char *uuid, unsigned int length) {
    return read_text(gpu, __func__, "uuid", uuid, length);
}

nvmlReturn_t nvmlDeviceGetName(nvmlDevice_t gpu, char *name, unsigned int length) {
    return read_text(gpu, __func__, "name", name, length);
}

static nvmlReturn_t read_memory(nvmlDevice_t gpu, const char *function, nvmlMemory_v2_t *memory) {
    unsigned long long total, used = 0, reserved = 0;
    nvmlReturn_t failure = read_number(gpu, function, "total", &total);
    if (failure != SUCCESS)
        return failure;
    read_number(gpu, function, "used", &used);
    read_number(gpu, function, "reserved", &reserved);
    memory->total = total;
    memory->used = used;
    memory->reserved = reserved;
    memory->free = total - used - reserved;
    return SUCCESS;
}

/* The first version counts what the driver keeps for itself as used. */
nvmlReturn_t nvmlDeviceGetMemoryInfo(nvmlDevice_t gpu, nvmlMemory_t *memory) {
    nvmlMemory_v2_t whole;
    nvmlReturn_t failure = read_memory(gpu, __func__, &whole);
    if (failure == SUCCESS)
        *memory = (nvmlMemory_t){whole.total, whole.free, whole.used + whole.reserved};
    return failure;
}

nvmlReturn_t nvmlDeviceGetUtilizationRates(nvmlDevice_t gpu, nvmlUtilization_t *rates) {
    rates->memory = 0;
    return read_unsigned(gpu, __func__, "util", &rates->gpu);
}

nvmlReturn_t nvmlDeviceGetPowerUsage(nvmlDevice_t gpu, unsigned int *milliwatts) {
    return read_unsigned(gpu, __func__, "power", milliwatts);
}

nvmlReturn_t nvmlDeviceGetEnforcedPowerLimit(nvmlDevice_t gpu, unsigned int *milliwatts) {
    return read_unsigned(gpu, __func__, "limit", milliwatts);
}

nvmlReturn_t nvmlDeviceGetTemperature(nvmlDevice_t gpu, int sensor, unsigned int *degrees) {
    (void)sensor;
    return read_unsigned(gpu, __func__, "temp", degrees);
}

nvmlReturn_t nvmlDeviceGetClockInfo(nvmlDevice_t gpu, int type, unsigned int *megahertz) {
    return read_unsigned(gpu, __func__, type == 1 ? "sm" : "mem", megahertz);
}

nvmlReturn_t nvmlDeviceGetCurrentClocksThrottleReasons(nvmlDevice_t gpu,
                                                       unsigned long long *reasons) {
    return read_number(gpu, __func__, "reasons", reasons);
}

nvmlReturn_t nvmlDeviceGetTotalEccErrors(nvmlDevice_t gpu, int type, int counter,
                                         unsigned long long *count) {
    if (type != 1 || counter != 0)
        return INVALID_ARGUMENT;
    return read_number(gpu, __func__, "ecc", count);
}

nvmlReturn_t nvmlDeviceGetFieldValues(nvmlDevice_t gpu, int count, nvmlFieldValue_t *values) {
    nvmlReturn_t failure = enter_gpu(gpu, __func__);
    for (int at = 0; failure == SUCCESS && at < count; at++) {
        values[at].valueType = 1;
        values[at].nvmlReturn = values[at].fieldId == 230
                                    ? read_unsigned(gpu, __func__, "recovery", &values[at].value.uiVal)
                                    : NOT_SUPPORTED;
    }
    return failure;
}

/* As the driver does: too small an array is told how large it must be. */
static nvmlReturn_t read_processes(nvmlDevice_t gpu, const char *function, const char *field,
                                   unsigned int *count, nvmlProcessInfo_t *infos) {
    char value[LINE];
    unsigned int room = *count, found = 0;
    nvmlReturn_t failure = enter_gpu(gpu, function);
    if (failure != SUCCESS)
        return failure;
    if (!field_of(gpu, field, value))
        return NOT_SUPPORTED;
    for (char *word = strtok(value, " "); word; word = strtok(NULL, " ")) {
        char *memory = strchr(word, ':');
        if (!memory)
            continue;
        if (found < room && infos)
            infos[found] = (nvmlProcessInfo_t){
                (unsigned int)atoi(word),
                memory[1] == '?' ? ~0ULL : strtoull(memory + 1, NULL, 0),
                ~0U,
                ~0U,
            };
        found++;
    }
    *count = found;
    return found > room ? INSUFFICIENT_SIZE : SUCCESS;
}

nvmlReturn_t nvmlDeviceGetComputeRunningProcesses_v2(nvmlDevice_t gpu, unsigned int *count,
                                                     nvmlProcessInfo_t *infos) {
    return read_processes(gpu, __func__, "compute", count, infos);
}

nvmlReturn_t nvmlDeviceGetGraphicsRunningProcesses_v2(nvmlDevice_t gpu, unsigned int *count,
                                                      nvmlProcessInfo_t *infos) {
    return read_processes(gpu, __func__, "graphics", count, infos);
}

nvmlReturn_t nvmlDeviceGetMigMode(nvmlDevice_t gpu, unsigned int *current, unsigned int *pending) {
    nvmlReturn_t failure = read_unsigned(gpu, __func__, "mig", current);
    if (failure == SUCCESS)
        *pending = *current;
    return failure;
}

nvmlReturn_t nvmlDeviceGetMaxMigDeviceCount(nvmlDevice_t gpu, unsigned int *count) {
    *count = INSTANCES;
    return enter_gpu(gpu, __func__);
}

nvmlReturn_t nvmlDeviceGetMigDeviceHandleByIndex(nvmlDevice_t gpu, unsigned int index,
                                                 nvmlDevice_t *instance) {
    char value[LINE];
    nvmlReturn_t failure = enter_gpu(gpu, __func__);
    if (failure != SUCCESS)
        return failure;
    if (index >= INSTANCES)
        return INVALID_ARGUMENT;
    device *found = &instances[gpu->gpu][index];
    *found = (device){gpu->gpu, (int)index};
    *instance = found;
    return field_of(found, "uuid", value) ? SUCCESS : NOT_FOUND;
}

#ifndef OLD_DRIVER
nvmlReturn_t nvmlDeviceGetMemoryInfo_v2(nvmlDevice_t gpu, nvmlMemory_v2_t *memory) {
    if (memory->version != (sizeof *memory | 2u << 24))
        return ARGUMENT_VERSION_MISMATCH;
    return read_memory(gpu, __func__, memory);
}

nvmlReturn_t nvmlDeviceGetTemperatureV(nvmlDevice_t gpu, nvmlTemperature_t *temperature) {
    if (temperature->version != (sizeof *temperature | 1u << 24))
        return ARGUMENT_VERSION_MISMATCH;
    return read_unsigned(gpu, __func__, "temp", (unsigned int *)&temperature->temperature);
}

nvmlReturn_t nvmlDeviceGetCurrentClocksEventReasons(nvmlDevice_t gpu, unsigned long long *reasons) {
    return read_number(gpu, __func__, "reasons", reasons);
}

nvmlReturn_t nvmlDeviceGetComputeRunningProcesses_v3(nvmlDevice_t gpu, unsigned int *count,
                                                     nvmlProcessInfo_t *infos) {
    return read_processes(gpu, __func__, "compute", count, infos);
}

nvmlReturn_t nvmlDeviceGetGraphicsRunningProcesses_v3(nvmlDevice_t gpu, unsigned int *count,
                                                      nvmlProcessInfo_t *infos) {
    return read_processes(gpu, __func__, "graphics", count, infos);
}
#endif
