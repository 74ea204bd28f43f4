#include "cli/cli.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "cli/cli_room.h"

/* In the order of `porchlight help`. */
const porch_cli_command *const porch_cli_tables[] = {
    porch_cli_init_commands,       porch_cli_status_commands,       porch_cli_doctor_commands,
    porch_cli_setup_link_commands, porch_cli_user_commands,         porch_cli_device_commands,
    porch_cli_enrol_commands,      porch_cli_service_commands,      porch_cli_policy_commands,
    porch_cli_can_commands,        porch_cli_prove_commands,        porch_cli_household_commands,
    porch_cli_webhook_commands,    porch_cli_notification_commands, porch_cli_ca_commands,
    porch_cli_issuer_commands,     porch_cli_backup_commands,       porch_cli_seal_commands,
    porch_cli_ota_commands,        porch_cli_ota_publish_commands,  porch_cli_ota_rollout_commands,
    porch_cli_trust_commands,      porch_cli_manual_commands,       NULL,
};

const char *porch_cli_find_dir(const char *of_c) {
    const char *of_environment = getenv("PORCHLIGHT_DIR");
    if (of_c) return of_c;
    if (of_environment && *of_environment) return of_environment;
    if (access("hub.conf", F_OK) != 0 && access(PORCH_CLI_STATE_DIR, F_OK) == 0) return PORCH_CLI_STATE_DIR;
    return ".";
}

int porch_cli_main(int argc, char **argv) {
    porch_cli c;
    porch_why why = {""};
    if (argc == 2 && strcmp(argv[1], "--version") == 0) {
        printf("porchlight %s\n", PORCH_VERSION);
        return PORCH_CLI_DONE;
    }
    porch_err e = porch_cli_parse(argc, argv, porch_cli_tables, &c, &why);
    if (e == PORCH_ERR_STATE) { /* help was asked for */
        if (c.command)
            porch_cli_help_one(stdout, c.command);
        else
            porch_cli_help_all(stdout, porch_cli_tables);
        return PORCH_CLI_DONE;
    }
    if (e != PORCH_OK) return porch_cli_fail(e, &why);
    c.dir = porch_cli_find_dir(c.dir);
    return c.command->run(&c);
}
