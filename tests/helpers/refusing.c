/* A file system that refuses: for LD_PRELOAD, by the rules in REFUSE, divided by semicolons, "CALL PART ERROR".

CALL is one of
  open            of a path that holds PART
  lock            flock, of a file whose path holds PART
  lock-wronly     the same, shared, of a file that was opened for writing alone, as NFS has it
  link-across     a hard link between two folders, of a path that holds PART
  link            any hard link
  sync-folder     fsync of a folder whose path holds PART
  write           to a file whose path holds PART
ERROR is a number. With REFUSE_WHILE, rules hold as long as the file of that name is there. */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

static int refused(const char *call, const char *path) {
    const char *rule = getenv("REFUSE"), *condition = getenv("REFUSE_WHILE");
    if (!rule || (condition && access(condition, F_OK))) return 0;
    for (; rule && *rule; rule = strchr(rule, ';') ? strchr(rule, ';') + 1 : NULL) {
        char name[32], part[256];
        int error;
        if (sscanf(rule, "%31s %255s %d", name, part, &error) == 3 && !strcmp(name, call) && strstr(path, part))
            return error;
    }
    return 0;
}

static const char *path_of(int descriptor, char *path, size_t size) {
    char name[64];
    snprintf(name, sizeof name, "/proc/self/fd/%d", descriptor);
    ssize_t length = readlink(name, path, size - 1);
    path[length < 0 ? 0 : length] = 0;
    return path;
}

#define NEXT(name) ((__typeof__(&name))dlsym(RTLD_NEXT, #name))
#define REFUSE(call, path) do { int error = refused(call, path); if (error) { errno = error; return -1; } } while (0)

#define OPEN(name)                                                    \
    int name(const char *path, int flags, ...) {                      \
        va_list rest;                                                 \
        va_start(rest, flags);                                        \
        mode_t mode = flags & (O_CREAT | O_TMPFILE) ? va_arg(rest, mode_t) : 0; \
        va_end(rest);                                                 \
        REFUSE("open", path);                                         \
        return NEXT(name)(path, flags, mode);                         \
    }
OPEN(open)
OPEN(open64)

int flock(int descriptor, int operation) {
    char path[4096];
    path_of(descriptor, path, sizeof path);
    if (!(operation & LOCK_UN)) {
        REFUSE("lock", path);
        if (operation & LOCK_SH && (fcntl(descriptor, F_GETFL) & O_ACCMODE) == O_WRONLY) REFUSE("lock-wronly", path);
    }
    return NEXT(flock)(descriptor, operation);
}

static int link_error(const char *from, const char *to) {
    size_t a = strrchr(from, '/') ? strrchr(from, '/') - from : 0, b = strrchr(to, '/') ? strrchr(to, '/') - to : 0;
    int error = refused("link", to);
    return error || (a == b && !strncmp(from, to, a)) ? error : refused("link-across", to);
}

int link(const char *from, const char *to) {
    int error = link_error(from, to);
    if (error) { errno = error; return -1; }
    return NEXT(link)(from, to);
}

int linkat(int from_folder, const char *from, int to_folder, const char *to, int flags) {
    int error = link_error(from, to);
    if (error) { errno = error; return -1; }
    return NEXT(linkat)(from_folder, from, to_folder, to, flags);
}

int fsync(int descriptor) {
    char path[4096];
    struct stat info;
    if (!fstat(descriptor, &info) && S_ISDIR(info.st_mode)) REFUSE("sync-folder", path_of(descriptor, path, sizeof path));
    return NEXT(fsync)(descriptor);
}

ssize_t write(int descriptor, const void *data, size_t size) {
    char path[4096];
    if (getenv("REFUSE") && strstr(getenv("REFUSE"), "write ")) REFUSE("write", path_of(descriptor, path, sizeof path));
    return NEXT(write)(descriptor, data, size);
}
