#include "access/prove.h"

#include "access/prove_room.h"

/* Every allow of the world about this action, with every member of its group. */
static void try_all(prove_search *s, bool with_services) {
    const porch_access_document *d = s->q->world->document;
    for (size_t i = 0; i < d->group_count && !s->enough; i++) {
        s->group = &d->groups[i];
        for (size_t k = 0; k < s->group->statement_count && !s->enough; k++) {
            if (!porch_prove_take_up(s, k)) continue;
            for (size_t m = 0; m < s->group->member_count && !s->enough; m++) {
                s->member = &s->group->members[m];
                if (!with_services && s->member->kind == PORCH_ACCESS_MEMBER_SERVICE) continue;
                porch_prove_each_principal(s, d, s->member, porch_prove_try, NULL);
                if (s->found_here) break; /* one example for each statement */
            }
        }
    }
}

void porch_access_prove_isolation(const porch_access_question *q, porch_access_proof *ret) {
    static const unsigned actions[2] = {PORCH_ACCESS_PUBLISH, PORCH_ACCESS_RECEIVE};
    static prove_search s;
    *ret = (porch_access_proof){0, 0, 0};
    for (int i = 0; i < 4 && !(i > 0 && s.enough); i++) {
        s = (prove_search){.q = q, .proof = ret, .action = actions[i & 1]};
        s.want = (prove_pattern){.rest = true};
        if ((i & 2) != 0) {
            s.want.level[0] = PORCH_LIT("$porchlight");
            s.want.level[1] = PORCH_LIT("device");
            s.want.level[2] = porch_prove_victim;
            s.want.count = 3;
        } else {
            s.want.level[0] = PORCH_LIT("d");
            s.want.level[1] = porch_prove_victim;
            s.want.count = 2;
        }
        porch_prove_prepare(&s);
        try_all(&s, false);
    }
}

void porch_access_prove_nobody(const porch_access_question *q, const porch_access_group *group,
                               unsigned action, porch_topic_filter filter, porch_access_proof *ret) {
    static prove_search s;
    *ret = (porch_access_proof){0, 0, 0};
    s = (prove_search){.q = q,
                       .proof = ret,
                       .but = group,
                       .action = action == PORCH_ACCESS_SUBSCRIBE ? PORCH_ACCESS_RECEIVE : action,
                       .want = porch_prove_cut(filter.text)};
    porch_prove_prepare(&s);
    try_all(&s, true);
}
