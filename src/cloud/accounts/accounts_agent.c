#include "cloud/accounts/accounts_agent.h"

#include <stdio.h>
#include <string.h>

typedef struct {
    const char *mark; /* what the header holds */
    const char *word; /* what is told */
} known;

/* The first that fits counts: most browsers also claim to be those below them. */
static const known BROWSERS[] = {
    {"Edg/", "Edge"},
    {"EdgA/", "Edge"},
    {"EdgiOS/", "Edge"},
    {"OPR/", "Opera"},
    {"OPT/", "Opera"},
    {"SamsungBrowser/", "Samsung Internet"},
    {"Vivaldi/", "Vivaldi"},
    {"Firefox/", "Firefox"},
    {"FxiOS/", "Firefox"},
    {"CriOS/", "Chrome"},
    {"HeadlessChrome/", "Chrome"},
    {"Chrome/", "Chrome"},
    {"Safari/", "Safari"},
    {"curl/", "curl"},
    {"Python", "Python"},
};

static const known SYSTEMS[] = {
    {"iPhone", "iPhone"},   {"iPad", "iPad"},     {"Android", "Android"}, {"CrOS", "ChromeOS"},
    {"Windows", "Windows"}, {"Macintosh", "Mac"}, {"Linux", "Linux"},     {"BSD", "BSD"},
};

static bool holds(porch_bytes text, const char *mark) {
    return text.len > 0 && memmem(text.at, text.len, mark, strlen(mark)) != NULL;
}

static const char *first_of(const known *list, size_t count, porch_bytes text) {
    for (size_t i = 0; i < count; i++)
        if (holds(text, list[i].mark)) return list[i].word;
    return NULL;
}

void porch_agent_read(porch_bytes header, char ret[PORCH_AGENT_TEXT]) {
    if (header.len > PORCH_AGENT_LOOKED_AT) header.len = PORCH_AGENT_LOOKED_AT;
    const char *browser = first_of(BROWSERS, sizeof BROWSERS / sizeof *BROWSERS, header);
    const char *system = first_of(SYSTEMS, sizeof SYSTEMS / sizeof *SYSTEMS, header);
    if (system != NULL)
        (void)snprintf(ret, PORCH_AGENT_TEXT, "%s on %s", browser == NULL ? "a browser" : browser, system);
    else
        (void)snprintf(ret, PORCH_AGENT_TEXT, "%s", browser == NULL ? "an unknown program" : browser);
}
