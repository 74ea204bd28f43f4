# One line a program: what main() wires together.
porch_program(porchlightd src/programs/porchlightd.c bin cloud/api cloud/signer cloud/supervisor)
porch_program(porchlight-analyst src/programs/porchlight_analyst.c libexec cloud/analyst)
porch_program(porchlight-courier src/programs/porchlight_courier.c libexec cloud/courier)
porch_program(porchlight src/programs/porchlight.c bin cli)
porch_program(porchlight-device src/programs/porchlight_device.c bin device/port/linux device/port/rauc)
porch_program(porchlight-tuf src/programs/porchlight_tuf.c bin ota/port/curl)
porch_program(porchlight-launch src/programs/porchlight_launch.c bin ota/port/linux)
porch_program(porchlight-rauc src/programs/porchlight_rauc.c bin ota/port/rauc)
