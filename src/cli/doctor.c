#include "cli/doctor.h"

#include <stdio.h>
#include <string.h>

#define DAY_MS     86400000ull
#define MADE_MS    1767225600000ull /* 2026-01-01: no clock of a hub stands before it */
#define FAR_MS     4102444800000ull /* 2100-01-01 */
#define FREE_LEAST (512ull * 1024 * 1024)

enum { FREE_PARTS = 20, BACKUP_DAYS = 7 };

void porch_doctor_add(porch_doctor_report *r, const char *check, const char *text, const char *mend) {
    if (r->count == PORCH_DOCTOR_FINDINGS_MOST) {
        r->more++;
        return;
    }
    porch_doctor_finding *f = &r->findings[r->count++];
    f->check = check;
    (void)snprintf(f->text, sizeof f->text, "%s", text);
    (void)snprintf(f->mend, sizeof f->mend, "%s", mend);
}

void porch_doctor_add_refusal(porch_doctor_report *r, const char *check, const char *sentence,
                              const char *otherwise) {
    static const char mark[] = "; run: ";
    char text[PORCH_DOCTOR_TEXT_BYTES];
    const char *command = strstr(sentence, mark);
    size_t len = command == NULL ? strlen(sentence) : (size_t)(command - sentence);
    (void)snprintf(text, sizeof text, "%.*s", (int)(len < sizeof text ? len : sizeof text - 1), sentence);
    porch_doctor_add(r, check, text, command == NULL ? otherwise : command + sizeof mark - 1);
}

void porch_doctor_clock(porch_doctor_report *r, uint64_t now_ms, uint64_t known_ms) {
    uint64_t least = known_ms > MADE_MS ? known_ms : MADE_MS;
    if (now_ms >= least && now_ms < FAR_MS) return;
    porch_doctor_add(r, "clock",
                     now_ms < least ? "the clock is behind: it stands before a time that has been"
                                    : "the clock is ahead: it stands past the year 2100",
                     "timedatectl set-ntp true");
}

void porch_doctor_end(porch_doctor_report *r, const char *what, uint64_t now_ms, uint64_t ends_ms,
                      unsigned notice_days, const char *mend) {
    char text[PORCH_DOCTOR_TEXT_BYTES];
    if (now_ms < ends_ms && ends_ms - now_ms >= notice_days * DAY_MS) return;
    if (now_ms >= ends_ms)
        (void)snprintf(text, sizeof text, "the certificate of %s has ended", what);
    else
        (void)snprintf(text, sizeof text, "the certificate of %s ends in %llu days", what,
                       (unsigned long long)((ends_ms - now_ms) / DAY_MS));
    porch_doctor_add(r, "certificates", text, mend);
}

void porch_doctor_disk(porch_doctor_report *r, uint64_t free_bytes, uint64_t all_bytes) {
    char text[PORCH_DOCTOR_TEXT_BYTES];
    if (free_bytes >= FREE_LEAST && free_bytes >= all_bytes / FREE_PARTS) return;
    (void)snprintf(text, sizeof text, "the disk has %llu MiB left of %llu MiB",
                   (unsigned long long)(free_bytes >> 20), (unsigned long long)(all_bytes >> 20));
    porch_doctor_add(r, "disk", text,
                     "make room, or keep clips for less time: media.keep_days in hub.conf");
}

void porch_doctor_backup(porch_doctor_report *r, const char *dir, uint64_t now_ms, uint64_t last_ms) {
    char text[PORCH_DOCTOR_TEXT_BYTES], mend[PORCH_DOCTOR_TEXT_BYTES];
    (void)snprintf(mend, sizeof mend, "porchlight -C %s backup --out FILE", dir);
    if (last_ms == 0) {
        porch_doctor_add(r, "backup", "there has been no backup", mend);
    } else if (now_ms > last_ms && now_ms - last_ms > BACKUP_DAYS * DAY_MS) {
        (void)snprintf(text, sizeof text, "the last backup is %llu days old",
                       (unsigned long long)((now_ms - last_ms) / DAY_MS));
        porch_doctor_add(r, "backup", text, mend);
    }
}
