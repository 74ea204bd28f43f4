/* The people of a household, at its end: accounts, sign-ins, links, codes, and what each of them set. */
#ifndef PORCH_CLOUD_ACCOUNTS_ERASE_H
#define PORCH_CLOUD_ACCOUNTS_ERASE_H

#include "cloud/accounts/accounts.h"

/* One transaction; then every sign-in of theirs has ended and its observers know. Their names and second
 * factors stand in the table erasure, kinds "user" and "account", until the erasure's last step. */
porch_err porch_accounts_erase(porch_accounts *a, const char *household, porch_why *why);

#endif
