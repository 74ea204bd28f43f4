#include "access/world.h"

#include "access/statement.h"

enum { POLICY_BYTES = 16384 };

size_t porch_access_world_bytes(const porch_access_document *d) {
    size_t bytes = d->group_count * (sizeof(void *) + sizeof(uint32_t)) + 64;
    for (size_t i = 0; i < d->group_count; i++)
        bytes += porch_access_automaton_bytes(d->groups[i].statements, d->groups[i].statement_count) + 16;
    return bytes;
}

porch_err porch_access_world_make(const porch_access_document *d, const porch_access_index *index,
                                  porch_arena *arena, porch_access_world *ret) {
    porch_access_world w = {.document = d, .index = index};
    w.automata = porch_arena_take(arena, d->group_count * sizeof *w.automata);
    w.groups = porch_arena_take(arena, d->group_count * sizeof *w.groups);
    if (w.automata == NULL || w.groups == NULL) return PORCH_ERR_NO_SPACE;
    for (size_t i = 0; i < d->group_count; i++) {
        const porch_access_group *g = &d->groups[i];
        if (g->statement_count == 0) continue;
        size_t bytes = porch_access_automaton_bytes(g->statements, g->statement_count);
        void *block = porch_arena_take(arena, bytes);
        if (block == NULL) return PORCH_ERR_NO_SPACE;
        PORCH_TRY(
            porch_access_automaton_build(g->statements, g->statement_count, block, bytes, &w.automata[i]));
    }
    *ret = w;
    return PORCH_OK;
}

porch_access_verdict porch_access_world_judge(const porch_access_world *w,
                                              const porch_access_principal *who, unsigned action,
                                              porch_bytes name) {
    static const porch_access_verdict nothing = {false, NULL, NULL};
    porch_access_verdict found = nothing;
    uint64_t block[POLICY_BYTES / 8];
    porch_access_variable variables[PORCH_ACCESS_VARIABLES];
    size_t has = porch_access_principal_variables(who, variables);
    size_t count = porch_access_index_groups(w->index, who, w->groups);
    for (size_t i = 0; i < count; i++) {
        const porch_access_automaton *a = w->automata[w->groups[i]];
        const porch_access_group *g = &w->document->groups[w->groups[i]];
        const porch_access_policy *p;
        if (a == NULL) continue;
        if (porch_access_policy_bind_person(a, variables, has, who->devices, block, sizeof block, &p) !=
            PORCH_OK)
            return nothing;
        porch_topic_name topic = {name};
        porch_access_decision d = action == PORCH_ACCESS_PUBLISH   ? porch_access_can_publish(p, topic)
                                  : action == PORCH_ACCESS_RECEIVE ? porch_access_can_receive(p, topic)
                                                                   : porch_access_can_read(p, topic);
        if (d.statement < 0) continue;
        if (!d.allowed) /* later groups may still leave it without a policy: it is refused either way */
            return (porch_access_verdict){false, g, &g->statements[d.statement]};
        if (found.group == NULL) found = (porch_access_verdict){true, g, &g->statements[d.statement]};
    }
    return found;
}
