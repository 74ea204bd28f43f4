/* One version of the policy in memory: its text, its groups, who is in which, and an automaton for each set
 * of groups that somebody has.
 *
 *   text ─parse─► document ─► index: (kind, value) ─► groups        tags: device ─► tags
 *                                        │
 *   principal ─────────────────────► set of groups ─► class: automaton, shared by all with this set
 *
 * A model is made whole and swapped whole. Classes are made when they are first asked for and outlive their
 * model as long as a policy uses them. */
#ifndef PORCH_CLOUD_GRANTS_MODEL_H
#define PORCH_CLOUD_GRANTS_MODEL_H

#include "access/automaton.h"
#include "access/index.h"
#include "cloud/grants/grants.h"

typedef struct grants_model grants_model;
typedef struct grants_class grants_class;

/* Takes the text over (malloc'ed; freed on errors too). At most `statements_most` may apply to one
 * principal. PORCH_ERR_MALFORMED, _LIMIT, _INTERNAL. */
porch_err porch_grants_model_make(char *text, uint64_t version, uint32_t statements_most,
                                  grants_model **ret, porch_why *why);
grants_model *porch_grants_model_retain(grants_model *m);
void porch_grants_model_release(grants_model *m);
const porch_access_document *porch_grants_model_document(const grants_model *m);
const char *porch_grants_model_text(const grants_model *m);
uint64_t porch_grants_model_version(const grants_model *m);

/* The entry as the engine sees it, without a person's devices. False: it is nobody. Views into `entry`. */
bool porch_grants_principal(const porch_registry_entry *entry, porch_access_principal *ret);
/* The class of this principal, retained. Any thread. */
porch_err porch_grants_model_class(grants_model *m, const porch_registry_entry *entry, grants_class **ret);
grants_class *porch_grants_class_retain(grants_class *c);
void porch_grants_class_release(grants_class *c);
const porch_access_automaton *porch_grants_class_automaton(const grants_class *c);
/* The name of the group that statement `index` of the automaton came from. */
const char *porch_grants_class_group(const grants_class *c, size_t index);

#endif
