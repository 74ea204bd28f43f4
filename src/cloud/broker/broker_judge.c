/* What a session's policy says about a topic, asked once for many messages.
 *
 *   memo      which topic this is            verdicts      what this asker was answered about it
 *
 * An asker's number stands for the session's policy as it is: porch_session_judge_anew gives it another
 * one, and no answer of before is ever found again. Quarantine is no part of it and is asked besides. */
#include "cloud/broker/room.h"

void porch_session_judge_anew(porch_session *s) {
    s->asker = porch_verdicts_asker(s->home->verdicts);
}

static porch_access_decision ask(const porch_session *s, unsigned action, porch_topic_name topic) {
    return action == PORCH_ACCESS_PUBLISH ? porch_access_can_publish(s->policy, topic)
                                          : porch_access_can_receive(s->policy, topic);
}

porch_access_decision porch_session_decide(porch_session *s, unsigned action, porch_bytes topic,
                                           uint64_t id) {
    porch_verdicts *v = s->home->verdicts;
    const porch_verdict *known = porch_verdicts_find(v, s->asker, action, id);
    if (known != NULL) return known->decision;
    porch_access_decision d = ask(s, action, (porch_topic_name){topic});
    if (id != 0) porch_verdicts_keep(v, s->asker, action, id, d);
    return d;
}
