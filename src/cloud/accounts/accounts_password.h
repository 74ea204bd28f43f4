/* Is this password strong enough, and if not, what would make it so?
 *
 * The rule: at least 12 characters, a capital letter, a symbol, and at least 10^10 guesses as zxcvbn
 * estimates them, the person's own name counted as known to the guesser. The tips name the weakness that
 * was found: they teach rather than scold. Pure: no database, no clock. */
#ifndef PORCH_CLOUD_ACCOUNTS_PASSWORD_H
#define PORCH_CLOUD_ACCOUNTS_PASSWORD_H

#include "base/bytes.h"
#include "base/error.h"

enum { PORCH_PASSWORD_TIPS = 6, PORCH_PASSWORD_MAX = 256 /* bytes that a password may have */ };

typedef struct porch_password_verdict {
    bool ok; /* all of the following */
    bool long_enough;
    bool capital;
    bool symbol;
    bool strong; /* guesses_log10 >= 10 */
    double guesses_log10;
    char tips[PORCH_PASSWORD_TIPS][160]; /* sentences for the person; never a piece of the password */
    size_t tip_count;
} porch_password_verdict;

/* PORCH_ERR_MALFORMED: not UTF-8 or with control characters; PORCH_ERR_LIMIT: longer than
 * PORCH_PASSWORD_MAX. Takes up to some 10 ms of CPU. */
porch_err porch_password_judge(porch_bytes password, porch_bytes name, porch_password_verdict *ret,
                               porch_why *why);

#endif
