/* What other brokers' policies let one client do to another: mosquitto's access file and AWS IoT policy
 * JSON.
 *
 *   rules ──► topics that a victim owns ──► every name that a rule's pattern could be given to match them
 * ──► a counterexample in that system's own words
 *
 * The search is complete for names made of the file's own levels and fresh ones, up to a depth beyond the
 * deepest pattern; that is what a clean answer says, and no more. */
#ifndef PORCH_CLI_FOREIGN_H
#define PORCH_CLI_FOREIGN_H

#include "base/bytes.h"
#include "base/error.h"

typedef struct {
    bool found;
    char text[8192]; /* the counterexample, or what was searched */
} porch_foreign_answer;

/* mosquitto 2's acl_file: user, topic and pattern lines. PORCH_ERR_MALFORMED names the line. Clients with a
 * user section of their own are taken for integrations; all others must not reach what a pattern gives to
 * another client identifier or user name. */
porch_err porch_foreign_mosquitto(porch_bytes text, porch_foreign_answer *ret, porch_why *why);
/* One AWS IoT policy document. Two questions: does a Deny of a subscription hold back what it names, and
 * does a variable of a client lead to another's topics? */
porch_err porch_foreign_aws(porch_bytes text, porch_foreign_answer *ret, porch_why *why);

#endif
