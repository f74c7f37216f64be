/* A Shared Mem In TOP of our own, to hold nodes/output/touch_shm.py against.

It shares no code with the sender: the structures below are what Derivative's sample declares, and the compiler lays
them out. One command a line on stdin, one answer a line on stdout:

    get FILE     look once, as the TOP does in a cook: what the header says, with the pixels in FILE; or "none", "busy"
    watch COUNT  look COUNT times, and say how many pictures changed, and how many were not of one value all over
    hold, free   take the data mutex and let go of it
    quit

    touch_receiver NAME PREFIXES    PREFIXES: how often the prefix stands in the info block's name; 0 = does not know it
*/
#include <windows.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

typedef struct {
    uint32_t magicNumber;
    int32_t version, width, height;
    float aspectx, aspecty;
    uint32_t pixelFormat;
    int64_t dataSize;
    int32_t dataOffset;
} Header;

typedef struct {
    uint32_t magicNumber;
    int32_t version;
    bool supported;
    WCHAR namePostFix[32];
    bool detach;
} Info;

_Static_assert(sizeof(Header) == 48 && offsetof(Header, dataOffset) == 40, "header");
_Static_assert(sizeof(Info) == 76 && offsetof(Info, detach) == 74, "info");

static WCHAR name[64], postfix[32];
static int prefixes;
static Info *info;
static HANDLE info_mutex, data_mutex, data_section;
static void *data;

static void drop(void) {
    if (data) UnmapViewOfFile(data);
    if (data_section) CloseHandle(data_section);
    data = NULL, data_section = NULL;
}

static bool lock(HANDLE mutex) {
    DWORD result = WaitForSingleObject(mutex, 5000);
    return result == WAIT_OBJECT_0 || result == WAIT_ABANDONED;
}

static void open_info(void) {
    WCHAR full[256];
    swprintf(full, 256, prefixes == 2 ? L"TouchSHMTouchSHM%ls4jhd783h" : L"TouchSHM%ls4jhd783h", name);
    HANDLE section = OpenFileMappingW(FILE_MAP_ALL_ACCESS, FALSE, full);
    if (!section) return;
    info = MapViewOfFile(section, FILE_MAP_ALL_ACCESS, 0, 0, sizeof *info);
    wcscat(full, L"Mutex");
    info_mutex = CreateMutexW(NULL, FALSE, full);
}

/* Whether there may be a picture, after the info block was asked. */
static bool follow_info(void) {
    if (prefixes && !info) open_info();
    if (!info || !lock(info_mutex)) return !prefixes || !info;
    bool there = true;
    if (info->magicNumber == 0x56ed34ba) {
        info->supported = true;
        if (info->detach) drop(), there = false;
        if (wcscmp(info->namePostFix, postfix)) drop(), wcscpy(postfix, info->namePostFix);
    }
    ReleaseMutex(info_mutex);
    return there;
}

static void get(const char *path) {
    WCHAR full[256];
    bool there = follow_info();
    if (there && !data) {
        swprintf(full, 256, L"TouchSHM%ls%ls", name, postfix);
        data_section = OpenFileMappingW(FILE_MAP_ALL_ACCESS, FALSE, full);
        if (data_section) data = MapViewOfFile(data_section, FILE_MAP_ALL_ACCESS, 0, 0, 0);
        if (!data_mutex) {
            swprintf(full, 256, L"TouchSHM%lsMutex", name);
            data_mutex = CreateMutexW(NULL, FALSE, full);
        }
    }
    if (!there || !data) {
        puts("none");
        return;
    }
    if (!lock(data_mutex)) {
        puts("busy");
        return;
    }
    Header *header = data;
    if (header->magicNumber == 0xd95ef835) {
        FILE *file = fopen(path, "wb");
        fwrite((char *)data + header->dataOffset, 1, header->dataSize, file);
        fclose(file);
        printf("%d %d %d %d %g %g %d %lld postfix=%ls\n", header->version, header->width, header->height,
               header->pixelFormat, header->aspectx, header->aspecty, header->dataOffset, (long long)header->dataSize,
               postfix);
    } else {
        puts("none");
    }
    ReleaseMutex(data_mutex);
}

/* Pictures of one value, each another one: what is mixed was torn. */
static void watch(int count) {
    int changes = 0, torn = 0, last = -1;
    for (; count > 0; count--) {
        if (!follow_info() || !data || !lock(data_mutex)) continue;
        Header *header = data;
        unsigned char *image = (unsigned char *)data + header->dataOffset;
        int64_t same = 0;
        while (same < header->dataSize && image[same] == image[0]) same++;
        torn += same < header->dataSize;
        changes += last != image[0];
        last = image[0];
        ReleaseMutex(data_mutex);
    }
    printf("%d changes, %d torn\n", changes, torn);
}

int main(int count, char **words) {
    char line[512];
    if (count != 3) return 2;
    swprintf(name, 64, L"%hs", words[1]);
    prefixes = words[2][0] - '0';
    setvbuf(stdout, NULL, _IONBF, 0);
    while (fgets(line, sizeof line, stdin)) {
        line[strcspn(line, "\r\n")] = 0;
        if (!strncmp(line, "get ", 4)) get(line + 4);
        else if (!strncmp(line, "watch ", 6)) watch(atoi(line + 6));
        else if (!strcmp(line, "hold")) puts(lock(data_mutex) ? "held" : "busy");
        else if (!strcmp(line, "free")) ReleaseMutex(data_mutex), puts("free");
        else break;
    }
    return 0;
}
