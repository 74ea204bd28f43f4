/* The engine's answers replaced by "yes", for one program that only measures: linked with --wrap into a hub
 * that stays in the build's bench folder, is never installed, and says at each start what it is. The
 * difference between its processor time and the real hub's is what access costs there
 * (bench/access_broker.py, part `engine`). */
#include <stdio.h>

#include "access/policy.h"

struct porch_session;
porch_access_decision __wrap_porch_session_decide(struct porch_session *s, unsigned action,
                                                  porch_bytes topic, uint64_t id);
porch_access_decision __wrap_porch_access_can_publish(const porch_access_policy *policy,
                                                      porch_topic_name topic);
porch_access_decision __wrap_porch_access_can_subscribe(const porch_access_policy *policy,
                                                        porch_topic_filter filter);
porch_access_decision __wrap_porch_access_can_receive(const porch_access_policy *policy,
                                                      porch_topic_name topic);
bool __wrap_porch_access_may_deny_receive(const porch_access_policy *policy, porch_topic_filter filter);

__attribute__((constructor)) static void say_what_it_is(void) {
    (void)fputs("THIS PROGRAM ALLOWS EVERYTHING TO EVERYBODY. It is for measuring only.\n", stderr);
}

/* What the broker remembers of the engine's answers is a part of what they cost. */
porch_access_decision __wrap_porch_session_decide(struct porch_session *s, unsigned action,
                                                  porch_bytes topic, uint64_t id) {
    (void)s, (void)action, (void)topic, (void)id;
    return (porch_access_decision){.allowed = true};
}

porch_access_decision __wrap_porch_access_can_publish(const porch_access_policy *policy,
                                                      porch_topic_name topic) {
    (void)policy, (void)topic;
    return (porch_access_decision){.allowed = true};
}

porch_access_decision __wrap_porch_access_can_subscribe(const porch_access_policy *policy,
                                                        porch_topic_filter filter) {
    (void)policy, (void)filter;
    return (porch_access_decision){.allowed = true};
}

porch_access_decision __wrap_porch_access_can_receive(const porch_access_policy *policy,
                                                      porch_topic_name topic) {
    (void)policy, (void)topic;
    return (porch_access_decision){.allowed = true};
}

bool __wrap_porch_access_may_deny_receive(const porch_access_policy *policy, porch_topic_filter filter) {
    (void)policy, (void)filter;
    return false;
}
