/* `manual`: porchlight(1), made of the tables that `--help` is made of, and hub.conf's page. */
#include "cli/cli_room.h"

#include <string.h>

#include "cloud/settings/manual.h"

enum { USAGE_BYTES = 1024 };

static const porch_manual_row exits[] = {
    {"0", "done"},
    {"1", "refused; the reason and what to do stand on standard error"},
    {"2", "the words of the command are wrong; nothing was done"},
};

static const porch_manual_row variables[] = {
    {"PORCHLIGHT_DIR", "the hub's directory when -C is not given"},
};

static const porch_manual_row files[] = {
    {PORCH_CLI_STATE_DIR,
     "the hub's directory when neither -C nor PORCHLIGHT_DIR names one and the current "
     "directory holds no hub.conf"},
    {"DIR/run/admin.sock", "the door to the running hub; open to root and to the hub's user only"},
    {"DIR/hub.conf", "settings; see porchlight-hub.conf(5)"},
    {"DIR/tls/web-ca.pem", "what phones and browsers of the household trust when there is no public name"},
    {"DIR/OFFLINE/root.key", "the root CA's key until 'ca export-root' moves it away"},
};

static void command(FILE *to, const porch_cli_command *c) {
    char usage[USAGE_BYTES];
    FILE *line = fmemopen(usage, sizeof usage, "w");
    if (!line) return;
    porch_cli_usage(line, c);
    fclose(line);
    usage[sizeof usage - 1] = '\0';
    porch_manual_part(to, usage);
    size_t first = strcspn(c->help, "\n");
    (void)snprintf(usage, sizeof usage, "%.*s.", (int)first, c->help);
    porch_manual_text(to, usage);
    if (c->help[first]) porch_manual_text(to, c->help + first + 1);
    for (const porch_cli_option *o = c->options; o && o->name; o++)
        porch_manual_item(to, o->name, o->value, o->help);
}

void porch_cli_manual(FILE *to, const porch_cli_command *const *tables) {
    porch_manual_begin(to, "porchlight", 1, "set up and look after a Porchlight hub");
    porch_manual_heading(to, "SYNOPSIS");
    porch_manual_example(to, "porchlight [-C DIR] COMMAND ... [--json]\n"
                             "porchlight COMMAND --help\n"
                             "porchlight --version");
    porch_manual_heading(to, "DESCRIPTION");
    porch_manual_text(to, "Speaks to the hub of DIR through its admin socket. With no hub running, one is "
                          "started for the length of the command, which serves nothing but that socket. It "
                          "never opens the database itself.");
    porch_manual_heading(to, "OPTIONS OF EVERY COMMAND");
    porch_manual_item(to, "-C", "DIR", "the hub's directory");
    porch_manual_item(to, "--json", NULL, "one JSON object on standard output, for programs");
    porch_manual_item(to, "--help", NULL, "what the command does and takes");
    porch_manual_heading(to, "COMMANDS");
    for (size_t t = 0; tables[t]; t++)
        for (const porch_cli_command *c = tables[t]; c->words; c++)
            command(to, c);
    porch_manual_rows(to, "EXIT STATUS", exits, sizeof exits / sizeof *exits);
    porch_manual_rows(to, "ENVIRONMENT", variables, sizeof variables / sizeof *variables);
    porch_manual_rows(to, "FILES", files, sizeof files / sizeof *files);
    porch_manual_heading(to, "SEE ALSO");
    porch_manual_text(to, "porchlightd(8), porchlight-hub.conf(5), porchlight-device(1)");
}

static int manual(porch_cli *c) {
    porch_why why = {""};
    if (!c->argument || strcmp(c->argument, "porchlight") == 0)
        porch_cli_manual(stdout, porch_cli_tables);
    else if (strcmp(c->argument, "hub.conf") == 0)
        porch_manual_settings(stdout);
    else
        return porch_cli_fail(porch_fail(&why, PORCH_ERR_USAGE,
                                         "there is no page '%.40s'; there are porchlight and hub.conf (and "
                                         "porchlightd --manual)",
                                         c->argument),
                              &why);
    return PORCH_CLI_DONE;
}

static int completion(porch_cli *c) {
    porch_why why = {""};
    if (strcmp(c->argument, "bash") != 0)
        return porch_cli_fail(
            porch_fail(&why, PORCH_ERR_USAGE, "completion is made for bash, not for '%.40s'", c->argument),
            &why);
    porch_cli_completion(stdout, porch_cli_tables);
    return PORCH_CLI_DONE;
}

const porch_cli_command porch_cli_manual_commands[] = {
    {"manual", "PAGE", true, NULL,
     "the manual page of this program (or of hub.conf) as roff source\n"
     "To read it: porchlight manual | man -l -",
     manual},
    {"completion", "SHELL", false, NULL,
     "the completion script of a shell (bash)\n"
     "To use it now: source <(porchlight completion bash)",
     completion},
    {0},
};
