#include "cloud/listener/route.h"

#include <stdlib.h>
#include <string.h>

enum { SEGMENTS_MOST = 16 };

typedef enum { LITERAL, VARIABLE, REST } segment_kind;

typedef struct {
    segment_kind kind;
    porch_bytes text; /* the literal, or the variable's name */
} segment;

typedef struct {
    const porch_http_route *row;
    size_t count;
    segment segments[SEGMENTS_MOST];
} compiled;

struct porch_routes {
    size_t count;
    compiled routes[];
};

static const char *const methods[] = {"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE"};

static bool known_method(const char *method) {
    for (size_t i = 0; i < sizeof methods / sizeof *methods; i++)
        if (method != NULL && strcmp(methods[i], method) == 0) return true;
    return false;
}

/* Cuts the part up to the next '/' off. */
static porch_bytes take_segment(porch_bytes *rest) {
    const uint8_t *slash = rest->len == 0 ? NULL : memchr(rest->at, '/', rest->len);
    size_t n = slash == NULL ? rest->len : (size_t)(slash - rest->at);
    porch_bytes one = {rest->at, n};
    size_t skip = slash == NULL ? n : n + 1;
    *rest = (porch_bytes){rest->at + skip, rest->len - skip};
    return one;
}

static porch_err compile(const porch_http_route *row, compiled *ret) {
    porch_bytes rest = porch_bytes_of(row->pattern);
    if (rest.len == 0 || rest.at[0] != '/') return PORCH_ERR_CONFIG;
    rest = (porch_bytes){rest.at + 1, rest.len - 1};
    ret->row = row;
    ret->count = 0;
    size_t params = 0;
    bool ends = false;
    while (!ends) {
        if (ret->count == SEGMENTS_MOST) return PORCH_ERR_CONFIG;
        bool last = rest.len == 0 || memchr(rest.at, '/', rest.len) == NULL;
        porch_bytes one = take_segment(&rest);
        segment *s = &ret->segments[ret->count++];
        *s = (segment){LITERAL, one};
        ends = last;
        if (one.len == 0 || one.at[0] != '{') continue;
        if (one.len < 3 || one.at[one.len - 1] != '}' || ++params > PORCH_ROUTE_PARAMS_MOST)
            return PORCH_ERR_CONFIG;
        s->kind = VARIABLE;
        s->text = (porch_bytes){one.at + 1, one.len - 2};
        if (s->text.len > 3 && memcmp(s->text.at + s->text.len - 3, "...", 3) == 0) {
            if (!last) return PORCH_ERR_CONFIG;
            s->kind = REST;
            s->text.len -= 3;
        }
    }
    return PORCH_OK;
}

/* Would both match the same paths, and for the same listener and method? */
static bool clash(const compiled *a, const compiled *b) {
    if (a->count != b->count || (a->row->listeners & b->row->listeners) == 0 ||
        strcmp(a->row->method, b->row->method) != 0)
        return false;
    for (size_t i = 0; i < a->count; i++) {
        if (a->segments[i].kind != b->segments[i].kind) return false;
        if (a->segments[i].kind == LITERAL && !porch_bytes_eq(a->segments[i].text, b->segments[i].text))
            return false;
    }
    return true;
}

static porch_err check_row(const porch_routes *r, const compiled *c, porch_why *why) {
    const porch_http_route *row = c->row;
    bool streamed = (row->flags & PORCH_HTTP_BODY_STREAM) != 0;
    if (!known_method(row->method))
        return porch_fail(why, PORCH_ERR_CONFIG, "route %s: unknown method", row->pattern);
    if (row->handler == NULL || (streamed && row->data == NULL))
        return porch_fail(why, PORCH_ERR_CONFIG, "route %s %s has no handler", row->method, row->pattern);
    if (streamed && (row->flags & PORCH_HTTP_INLINE) != 0)
        return porch_fail(why, PORCH_ERR_CONFIG, "route %s %s: a streamed body needs a worker", row->method,
                          row->pattern);
    for (size_t i = 0; i < r->count; i++)
        if (clash(&r->routes[i], c))
            return porch_fail(why, PORCH_ERR_CONFIG, "route %s %s is there twice", row->method,
                              row->pattern);
    return PORCH_OK;
}

porch_err porch_routes_new(const porch_http_route *rows, size_t count, porch_routes **ret, porch_why *why) {
    porch_routes *r = calloc(1, sizeof *r + count * sizeof r->routes[0]);
    if (r == NULL) return porch_fail(why, PORCH_ERR_IO, "no memory for the route table");
    porch_err e = PORCH_OK;
    for (size_t i = 0; i < count && e == PORCH_OK; i++) {
        compiled *c = &r->routes[r->count];
        e = compile(&rows[i], c);
        if (e != PORCH_OK) {
            porch_fail(why, e, "route %s: the pattern is off", rows[i].pattern);
        } else {
            e = check_row(r, c, why);
            if (e == PORCH_OK) r->count++;
        }
    }
    if (e != PORCH_OK) {
        porch_routes_free(r);
        return e;
    }
    *ret = r;
    return PORCH_OK;
}

void porch_routes_free(porch_routes *r) {
    free(r);
}

static bool matches(const compiled *c, porch_bytes path, porch_route_match *ret) {
    porch_bytes rest = {path.at + 1, path.len - 1};
    bool ended = false;
    ret->param_count = 0;
    for (size_t i = 0; i < c->count; i++) {
        const segment *s = &c->segments[i];
        if (ended) return false;
        porch_bytes one = rest;
        if (s->kind != REST) {
            ended = rest.len == 0 || memchr(rest.at, '/', rest.len) == NULL;
            one = take_segment(&rest);
        } else {
            ended = true;
        }
        if (s->kind == LITERAL && !porch_bytes_eq(one, s->text)) return false;
        if (s->kind == VARIABLE && one.len == 0) return false;
        if (s->kind != LITERAL) {
            ret->params[ret->param_count].name = s->text;
            ret->params[ret->param_count].value = one;
            ret->param_count++;
        }
    }
    ret->route = c->row;
    return ended;
}

/* Literals win over variables, variables over a rest, from the left. */
static bool better(const compiled *a, const compiled *b) {
    for (size_t i = 0; i < a->count && i < b->count; i++)
        if (a->segments[i].kind != b->segments[i].kind) return a->segments[i].kind < b->segments[i].kind;
    return false;
}

static void add_method(char *allow, const char *method) {
    size_t len = strlen(allow);
    if (len + strlen(method) + 3 > PORCH_ROUTE_ALLOW_BYTES) return;
    if (len > 0) {
        memcpy(allow + len, ", ", 3);
        len += 2;
    }
    memcpy(allow + len, method, strlen(method) + 1);
}

porch_err porch_routes_find(const porch_routes *r, porch_listen_role role, porch_bytes method,
                            porch_bytes path, porch_route_match *ret, char allow[PORCH_ROUTE_ALLOW_BYTES]) {
    const compiled *best_path = NULL, *best = NULL;
    porch_route_match m;
    bool head = porch_bytes_eq_text(method, "HEAD");
    allow[0] = 0;
    if (path.len == 0) return PORCH_ERR_NOT_FOUND;
    for (size_t i = 0; i < r->count; i++) {
        const compiled *c = &r->routes[i];
        if ((c->row->listeners & (1u << role)) == 0 || !matches(c, path, &m)) continue;
        if (best_path == NULL || better(c, best_path)) best_path = c;
    }
    if (best_path == NULL) return PORCH_ERR_NOT_FOUND;
    /* Among the rows of that same pattern shape, the one with this method. */
    for (size_t i = 0; i < r->count; i++) {
        const compiled *c = &r->routes[i];
        if ((c->row->listeners & (1u << role)) == 0 || !matches(c, path, &m)) continue;
        if (better(c, best_path) || better(best_path, c)) continue;
        bool exact = porch_bytes_eq_text(method, c->row->method);
        add_method(allow, c->row->method);
        if (exact || (head && best == NULL && strcmp(c->row->method, "GET") == 0)) {
            best = c;
            *ret = m;
        }
    }
    return best == NULL ? PORCH_ERR_UNSUPPORTED : PORCH_OK;
}
