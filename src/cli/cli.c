#include "cli/cli.h"

#include <string.h>

#include "cli/cli_room.h"

/* In the order of `porchlight help`. */
static const porch_cli_command *const tables[] = {
    porch_cli_init_commands,
    porch_cli_status_commands,
    porch_cli_doctor_commands,
    porch_cli_setup_link_commands,
    porch_cli_user_commands,
    porch_cli_device_commands,
    porch_cli_service_commands,
    porch_cli_household_commands,
    porch_cli_webhook_commands,
    porch_cli_notification_commands,
    porch_cli_ca_commands,
    porch_cli_backup_commands,
    NULL,
};

int porch_cli_main(int argc, char **argv) {
    porch_cli c;
    porch_why why = {""};
    if (argc == 2 && strcmp(argv[1], "--version") == 0) {
        printf("porchlight %s\n", PORCH_VERSION);
        return PORCH_CLI_DONE;
    }
    porch_err e = porch_cli_parse(argc, argv, tables, &c, &why);
    if (e == PORCH_ERR_STATE) { /* help was asked for */
        if (c.command)
            porch_cli_help_one(stdout, c.command);
        else
            porch_cli_help_all(stdout, tables);
        return PORCH_CLI_DONE;
    }
    if (e != PORCH_OK) return porch_cli_fail(e, &why);
    return c.command->run(&c);
}
