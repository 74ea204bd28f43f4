/* What `porchlight doctor` judges, apart from where it looks: numbers and texts in, findings out.
 *
 *   cli_doctor.c looks (files, ports, clock, hub) ─► doctor.c judges ─► findings, each with what mends it
 */
#ifndef PORCH_CLI_DOCTOR_H
#define PORCH_CLI_DOCTOR_H

#include "base/bytes.h"
#include "base/error.h"

enum { PORCH_DOCTOR_TEXT_BYTES = 400, PORCH_DOCTOR_FINDINGS_MOST = 64 };

typedef struct {
    const char *check; /* "clock"; static */
    char text[PORCH_DOCTOR_TEXT_BYTES];
    char mend[PORCH_DOCTOR_TEXT_BYTES]; /* a command, or a sentence where there is none */
} porch_doctor_finding;

/* What was found. When the table is full, `more` counts what had no room. */
typedef struct {
    porch_doctor_finding findings[PORCH_DOCTOR_FINDINGS_MOST];
    size_t count, more;
} porch_doctor_report;

/* `text` and `mend` are cut to their space. */
void porch_doctor_add(porch_doctor_report *r, const char *check, const char *text, const char *mend);
/* From a refusal of ours that ends "...; run: COMMAND": the sentence and the command apart. Without a
 * command, `otherwise` mends it. */
void porch_doctor_add_refusal(porch_doctor_report *r, const char *check, const char *sentence,
                              const char *otherwise);

/* The clock must not stand before `known_ms`, a moment that has surely been (the certificate's start), nor
 * before this program was made, nor absurdly far after. */
void porch_doctor_clock(porch_doctor_report *r, uint64_t now_ms, uint64_t known_ms);
/* A certificate that has ended, or has less than `notice_days` left. */
void porch_doctor_end(porch_doctor_report *r, const char *what, uint64_t now_ms, uint64_t ends_ms,
                      unsigned notice_days, const char *mend);
/* Under 512 MiB, or under 5 % of the disk. */
void porch_doctor_disk(porch_doctor_report *r, uint64_t free_bytes, uint64_t all_bytes);
/* Never (0) or more than 7 days ago. */
void porch_doctor_backup(porch_doctor_report *r, const char *dir, uint64_t now_ms, uint64_t last_ms);

#endif
