/* Every setting and every limit of the hub, once:
 *
 *   X(section, key, field, TYPE, default, min, max, "help")
 *
 * `section.key` is the name in hub.conf, `field` the member of porch_settings. TYPE is U32, U64, TEXT or
 * BOOL. For TEXT, min and max are lengths in bytes; for BOOL they are 0 and 1. The unit comes last in the
 * key. The parser, the written hub.conf, its comments and the documentation all come from this page. */
#ifndef PORCH_CLOUD_SETTINGS_LIST_H
#define PORCH_CLOUD_SETTINGS_LIST_H

/* clang-format off */
#define PORCH_SETTINGS_LIST(X) \
    X(hub, id,                 hub_id,               TEXT, "",          0, 64,   "this hub's own name, made at init") \
    X(hub, name,               hub_name,             TEXT, "localhost 127.0.0.1 ::1", 1, 1000, "names and addresses that devices and browsers use, by space; they stand in the server certificates") \
    X(hub, bind,               hub_bind,             TEXT, "",          0, 64,   "address to listen on; empty means every address") \
    X(hub, mqtt_port,          hub_mqtt_port,        U32,  8883,        0, 65535, "MQTT over TLS for devices and services; 0 means any free port") \
    X(hub, device_port,        hub_device_port,      U32,  8444,        0, 65535, "HTTPS for devices: clips; 0 means any free port") \
    X(hub, https_port,         hub_https_port,       U32,  8443,        0, 65535, "HTTPS for people: app and API; 0 means any free port") \
    X(hub, user,               hub_user,             TEXT, "",          0, 32,   "the user the hub runs as when it is started as root; empty means the starter") \
    X(hub, signer_user,        hub_signer_user,      TEXT, "",          0, 32,   "the user of the signer when started as root; empty means hub.user with -signer behind it, if there is one") \
    X(hub, analyst_user,       hub_analyst_user,     TEXT, "",          0, 32,   "the user of the analyst when started as root; empty means hub.user with -analyst behind it, if there is one") \
    X(hub, courier_user,       hub_courier_user,     TEXT, "",          0, 32,   "the user of the courier when started as root; empty means hub.user with -courier behind it, if there is one") \
    X(hub, seal,               hub_seal,             TEXT, "file",      1, 16,   "what guards the data keys: tpm, systemd or file; changed by 'porchlight seal'") \
    X(hub, tpm,                hub_tpm,              TEXT, "device:/dev/tpmrm0", 1, 255, "how the TPM of hub.seal = tpm is reached, as tpm2-tss names it") \
    X(hub, https_cert,         hub_https_cert,       TEXT, "",          0, 1000, "certificate chain of a public name for the people's port; empty means the hub's own web CA") \
    X(hub, https_key,          hub_https_key,        TEXT, "",          0, 1000, "private key that belongs to hub.https_cert") \
    X(hub, certificate_check_s, hub_certificate_check_s, U32, 60,       1, 3600, "time between two looks at the server certificates: is one due, has a file of a public name changed") \
    X(hub, tls_12,             hub_tls_12,           BOOL, 0,           0, 1,    "accept TLS 1.2 beside 1.3, for clients that know no better") \
    X(hub, shards,             hub_shards,           U32,  0,           0, 256,  "threads that serve connections; 0 means one a core") \
    X(hub, certificate_days,   hub_certificate_days, U32,  90,          1, 397,  "how long a device's or service's certificate is valid") \
    X(people, app_dir,         people_app_dir,       TEXT, "",          0, 1000, "folder of the built app; empty means share/porchlight/app beside the programs") \
    X(people, setup_life_s,    people_setup_life_s,  U32,  3600,        1, 86400, "how long a setup link works") \
    X(people, guest_days,      people_guest_days,    U32,  7,           1, 365, "how long a guest stays when the invitation does not say") \
    X(people, session_idle_s,  people_session_idle_s, U32, 3600,        60, 31536000, "a sign-in in a browser that is not used ends after this time") \
    X(people, session_life_s,  people_session_life_s, U32, 86400,       60, 31536000, "a sign-in in a browser ends after this time in any case") \
    X(people, installed_idle_s, people_installed_idle_s, U32, 604800,   60, 31536000, "as session_idle_s, where the page is an app on the home screen") \
    X(people, installed_life_s, people_installed_life_s, U32, 2592000,  60, 31536000, "as session_life_s, where the page is an app on the home screen") \
    X(people, step_up_s,       people_step_up_s,     U32,  300,         1, 86400, "how long a code counts as fresh for what must not be done from a borrowed phone") \
    X(people, alerts,          people_alerts,        U32,  32,          2, 1000, "most alerts about the own account that are kept for one person, oldest out first; half of them for half-finished sign-ins") \
    X(people, alert_join_s,    people_alert_join_s,  U32,  3600,        0, 86400, "half-finished sign-ins from one address within this time are one alert") \
    X(people, sessions,        people_sessions,      U32,  32,          1, 1000, "most sign-ins of one person at once; the one idle longest gives way") \
    X(people, password_workers, people_password_workers, U32, 2,        1, 64,   "password hashes (19 MiB each) at work at once") \
    X(people, password_waiting, people_password_waiting, U32, 16,       0, 1024, "password hashes that may wait for their turn, with those at work at most half of http.workers; more are told to come back") \
    X(people, free_attempts_account, people_free_attempts_account, U32,  5,           1, 1000, "wrong sign-ins of one name before waiting begins") \
    X(people, free_attempts_address, people_free_attempts_address, U32,  20,          1, 100000, "wrong sign-ins from one address before waiting begins") \
    X(people, login_delay_s,   people_login_delay_s, U32,  300,         1, 86400, "longest wait between two sign-ins") \
    X(people, login_forget_s,  people_login_forget_s, U32, 3600,        1, 864000, "wrong sign-ins are forgotten after this time without one") \
    X(people, streams,         people_streams,       U32,  256,         1, 100000, "live event streams at once") \
    X(people, streams_per_session, people_streams_per_session, U32, 8,  1, 1000, "live event streams of one sign-in at once") \
    X(people, mqtt_sign_ins,   people_mqtt_sign_ins, U32,  4096,        1, 1000000, "sign-ins that may have spoken MQTT and are not over yet") \
    X(people, heartbeat_ms,    people_heartbeat_ms,  U32,  15000,       100, 600000, "time between two signs of life on a live event stream") \
    X(people, app_bytes,       people_app_bytes,     U32,  33554432,    65536, 1073741824, "most memory for the app's files") \
    X(media, clip_bytes,       media_clip_bytes,     U64,  33554432,    65536, 1073741824, "longest clip") \
    X(media, household_bytes,  media_household_bytes, U64, 10737418240, 65536, 1000000000000000, "most bytes of clips that one household keeps; more are refused until old ones end") \
    X(media, disk_reserve_bytes, media_disk_reserve_bytes, U64, 268435456, 0, 1000000000000000, "bytes of the disk that clips leave free, for the database and for forgetting; 0 means none") \
    X(media, uploads_per_device, media_uploads_per_device, U32, 16,     1, 10000, "unfinished clips of one device at once; of those that nobody sends, the one used longest ago makes way") \
    X(media, upload_life_s,    media_upload_life_s,  U32,  86400,       60, 31536000, "an unfinished clip is given up after this time") \
    X(media, keep_days,        media_keep_days,      U32,  30,          0, 36500, "days that clips, events and pictures are kept; 0 means for ever") \
    X(media, analyses,         media_analyses,       U32,  2,           1, 16,   "clips that the analyst looks at at once; with more than one, arriving and complete ones each have a place") \
    X(media, analysis_memory_bytes, media_analysis_memory_bytes, U64, 134217728, 1048576, 68719476736, "memory for the bytes of clips under analysis; at least twice media.clip_bytes, or the longest may have to wait") \
    X(media, analysis_idle_ms, media_analysis_idle_ms, U32, 15000,      100, 600000, "a live clip without new bytes for this time is analysed once it is complete") \
    X(media, analysis_wall_s,  media_analysis_wall_s, U32, 60,          1, 3600, "longest time for the analysis of one clip") \
    X(media, analysis_cpu_s,   media_analysis_cpu_s, U32,  30,          1, 3600, "most processor time for the analysis of one clip") \
    X(media, analysis_memory_mib, media_analysis_memory_mib, U32, 512,  64, 65536, "most memory for the analysis of one clip") \
    X(media, analysis_frames,  media_analysis_frames, U32, 3600,        1, 1000000, "most frames of one clip") \
    X(media, frame_width,      media_frame_width,    U32,  4096,        64, 8192, "widest picture of a clip that is analysed") \
    X(media, frame_height,     media_frame_height,   U32,  2304,        64, 8192, "tallest picture of a clip that is analysed") \
    X(media, sample_ms,        media_sample_ms,      U32,  200,         20, 10000, "time between two frames that are looked at") \
    X(media, person_score_milli, media_person_score_milli, U32, 800,    0, 100000, "a detection counts from this score on, in thousandths") \
    X(media, person_agree,     media_person_agree,   U32,  2,           1, 5,    "how many of five looks must show a person in the same place") \
    X(media, make_index,       media_make_index,     BOOL, 1,           0, 1,    "keep a copy of each clip with its index in front, for seeking in browsers") \
    X(media, feedback_days,    media_feedback_days,  U32,  30,          0, 3650, "days that 'not a person' raises what is asked of the same spot; 0 means that it is only noted") \
    X(store, batch_rows,       store_batch_rows,     U32,  4096,        1, 65536, "most messages in one transaction") \
    X(store, lane_bytes,       store_lane_bytes,     U32,  4194304,     65536, 268435456, "memory in which one shard's messages wait for the disk; full means that senders wait") \
    X(store, readers,          store_readers,        U32,  4,           1, 64,   "database connections for reading") \
    X(store, cache_kib,        store_cache_kib,      U32,  4096,        256, 1048576, "page cache of one database connection") \
    X(store, checkpoint_pages, store_checkpoint_pages, U32, 2000,       100, 1000000, "pages in the write-ahead log before it is folded into the database") \
    X(store, keep_days,        store_keep_days,      U32,  30,          0, 36500, "days that stored messages are kept; 0 means for ever") \
    X(store, keep_rows,        store_keep_rows,      U64,  20000000,    0, 1000000000000, "most stored messages, oldest out first; 0 means no limit") \
    X(store, scrub_ms,         store_scrub_ms,       U32,  5000,        0, 600000, "how long a deletion waits until its bytes are out of the write-ahead log, too; it is done later otherwise") \
    X(store, clock_settle_h,   store_clock_settle_h, U32,  12,          0, 8760, "after a start, and after a jump of the clock by an hour or more, nothing is deleted by age until the clock has stood for so many hours") \
    X(store, tick_ms,          store_tick_ms,        U32,  5000,        10, 3600000, "time between two rounds of housekeeping: retention, last-seen times") \
    X(supervisor, restart_first_ms, supervisor_restart_first_ms, U32, 100, 1, 60000, "wait before a process that ended is started again; doubles with each end in a row") \
    X(supervisor, restart_most_ms, supervisor_restart_most_ms, U32, 30000, 1, 600000, "longest wait before a process is started again") \
    X(supervisor, healthy_ms,  supervisor_healthy_ms, U32, 60000,       100, 3600000, "a process that ran this long is started again without a longer wait") \
    X(supervisor, ready_ms,    supervisor_ready_ms,  U32,  60000,       1000, 600000, "the hub must serve within this time after its start") \
    X(supervisor, drain_ms,    supervisor_drain_ms,  U32,  15000,       100, 600000, "how long an ordered stop may take before processes are killed") \
    X(signer, device_issues_per_minute, signer_device_issues_per_minute, U32, 600, 1, 100000, "certificates that the signer issues to devices in a minute") \
    X(signer, service_issues_per_minute, signer_service_issues_per_minute, U32, 60, 1, 100000, "certificates that the signer issues to services in a minute") \
    X(signer, server_issues_per_minute, signer_server_issues_per_minute, U32, 10, 1, 1000, "certificates that the signer issues to the hub itself in a minute") \
    X(signer, times_per_minute, signer_times_per_minute, U32, 6000,     1, 1000000, "questions for the time that the signer answers in a minute") \
    X(signer, log_lines_per_minute, signer_log_lines_per_minute, U32, 600, 1, 1000000, "most log lines a minute about requests that the signer refused; what is over is summed up in one line") \
    X(signer, clock_ahead_days, signer_clock_ahead_days, U32, 60,       1, 36500, "how many days further than the time that has passed the clock may have come before the signer tells the time no more; after a start of the machine, how long it may have been off") \
    X(signer, vapid_per_minute, signer_vapid_per_minute, U32, 30,       1, 1000, "tokens for push services that the signer signs in a minute") \
    X(signer, updates_per_minute, signer_updates_per_minute, U32, 30, 1, 100000, "snapshots of the update repository that the signer signs in a minute") \
    X(signer, totp_free_tries, signer_totp_free_tries, U32, 5,          1, 1000, "wrong codes of one account before it has to wait") \
    X(signer, totp_wait_s,     signer_totp_wait_s,   U32,  300,         1, 86400, "longest wait after wrong codes") \
    X(signer, accounts,        signer_accounts,      U32,  10000,       1, 1000000, "accounts whose last accepted code the signer remembers") \
    X(courier, allow,          courier_allow,        TEXT, "",          0, 1000, "HOST:PORT by space: receivers that may be at private addresses") \
    X(courier, ca_file,        courier_ca_file,      TEXT, "",          0, 1000, "PEM file of authorities that webhook receivers may have, beside the system's") \
    X(courier, timeout_ms,     courier_timeout_ms,   U32,  10000,       100, 120000, "how long one outgoing request may take") \
    X(courier, answer_bytes,   courier_answer_bytes, U32,  65536,       0, 16777216, "bytes of a receiver's answer that are read; its status is what counts") \
    X(notify, webhooks,        notify_webhooks,      U32,  16,          0, 1000, "most webhooks") \
    X(notify, retry_first_ms,  notify_retry_first_ms, U32, 5000,        10, 3600000, "wait before a webhook that did not take a notification is asked again; doubles") \
    X(notify, retry_most_ms,   notify_retry_most_ms, U32,  3600000,     10, 86400000, "longest wait between two attempts of one delivery") \
    X(notify, attempts,        notify_attempts,      U32,  20,          1, 1000, "attempts before a delivery is given up; one that is older than all of them may take goes when its webhook fails again") \
    X(notify, keep_days,       notify_keep_days,     U32,  90,          0, 36500, "days that notifications are kept; 0 means for ever") \
    X(push, contact,           push_contact,         TEXT, "",          0, 128,  "mailto: or https: address that push services may write to; empty means https:// and the hub's first name") \
    X(push, subscriptions,     push_subscriptions,   U32,  16,          0, 64, "most browsers of one person that push messages go to; 0 turns push off") \
    X(push, origins,           push_origins,         U32,  4,           1, 16, "most push services that one person's browsers are reached by") \
    X(push, rest_most_s,       push_rest_most_s,     U32,  120,         1, 86400, "longest rest of one person's messages after a push service failed them; it begins with notify.retry_first_ms and doubles") \
    X(push, cooldown_s,        push_cooldown_s,      U32,  60,          0, 86400, "after a push about one camera the next one about it waits this long") \
    X(push, ttl_s,             push_ttl_s,           U32,  300,         1, 86400, "how long a push message is worth delivering") \
    X(push, alert_ttl_s,       push_alert_ttl_s,     U32,  86400,       1, 604800, "how long a push message about the person's own account is worth delivering") \
    X(push, timeout_ms,        push_timeout_ms,      U32,  5000,        100, 60000, "how long a push service may take to answer") \
    X(push, test_wait_s,       push_test_wait_s,     U32,  10,          0, 3600, "time between two test messages of one person") \
    X(registry, devices,       registry_devices,     U32,  100000,      1, 10000000, "most devices") \
    X(registry, services,      registry_services,    U32,  1000,        1, 100000, "most services") \
    X(registry, households,    registry_households,  U32,  1000,        1, 1000000, "most households") \
    X(est, claim_token_s,      est_claim_token_s,    U32,  3600,        60, 2592000, "how long a claim token works") \
    X(est, claim_tokens,       est_claim_tokens,     U32,  1000,        1, 1000000, "most claim tokens that wait for their device") \
    X(est, claim_tokens_household, est_claim_tokens_household, U32, 16, 1, 1000000, "most of them that the people of one household have asked for") \
    X(est, tpm_cas,            est_tpm_cas,          U32,  32,          0, 64, "most imported makers of TPMs") \
    X(est, attestations,       est_attestations,     U32,  256,         1, 4096, "devices that may be about to prove where their key lives; the oldest gives way") \
    X(est, attestation_s,      est_attestation_s,    U32,  120,         10, 3600, "how long such a device has for it") \
    X(est, factory_cas,        est_factory_cas,      U32,  16,          0, 24, "most imported authorities of factories") \
    X(est, certificates_per_day, est_certificates_per_day, U32, 100,    2, 100000, "certificates within a day by which a device renews itself; then it waits") \
    X(est, times_per_minute,   est_times_per_minute, U32,  30,          1, 1000000, "questions for the time that one certificate has answered in a minute") \
    X(est, time_askers,        est_time_askers,      U32,  4096,        8, 1000000, "certificates whose questions for the time are counted; the one that was quiet longest gives way") \
    X(est, renew_only_days,    est_renew_only_days,  U32,  730,         0, 36500, "days after its end in which a certificate still renews itself, and nothing else; 0: not at all") \
    X(trust, head_s,           trust_head_s,         U32,  60,          1, 86400, "time between two heads of the trust log that the signer signs; what was appended since the last is vouched for by the chain alone") \
    X(grants, statements,      grants_statements,    U32,  4096,        1, 1000000, "most statements that may apply to one device or service") \
    X(grants, policy_bytes,    grants_policy_bytes,  U32,  8388608,     1024, 16777216, "longest text of the policy; a request that carries it must also fit admin.line_bytes") \
    X(grants, denials,         grants_denials,       U32,  1000,        1, 100000, "rows of refusals that are kept in memory to look at; the one that was quiet longest gives way") \
    X(grants, versions,        grants_versions,      U32,  100,         1, 100000, "versions of the policy that are kept to look at") \
    X(listener, connections,   listener_connections, U32, 20000, 1, 10000000, "most connections at once, all ports together") \
    X(listener, per_address,   listener_per_address, U32, 2048, 1, 10000000, "most connections at once from one address") \
    X(listener, tls_sessions,  listener_tls_sessions, U32, 16384, 0, 1000000, "TLS sessions of devices and services that each port of theirs keeps for quick reconnection, about 700 bytes each once used; over it the oldest do a full handshake; 0: sealed tickets instead") \
    X(listener, handshake_ms,  listener_handshake_ms, U32, 10000, 100, 600000, "a TLS handshake that takes longer is ended") \
    X(listener, linger_ms,     listener_linger_ms, U32, 2000, 0, 60000, "after a refusal: time for the peer to read its reason before the connection is cut") \
    X(listener, log_lines_s,  listener_log_lines_s, U32, 1000, 1, 1000000, "most log lines a second and shard about refused peers; what is over is summed up in one line") \
    X(http, head_bytes,        http_head_bytes, U32, 16384, 1024, 1048576, "longest request head") \
    X(http, target_bytes,      http_target_bytes, U32, 4096, 64, 65536, "longest request target") \
    X(http, headers,           http_headers, U32, 64, 8, 256, "most header lines of a request") \
    X(http, head_ms,           http_head_ms, U32, 10000, 100, 600000, "time for a request's head from its first byte") \
    X(http, body_ms,           http_body_ms, U32, 30000, 100, 3600000, "a request body that is not whole after this time is given up; one of an upload, when it brings nothing for this time") \
    X(http, write_ms,          http_write_ms, U32, 30000, 100, 3600000, "an answer of which the peer takes nothing for this time is given up") \
    X(http, idle_ms,           http_idle_ms, U32, 60000, 100, 3600000, "a connection without a request is closed after this time") \
    X(http, workers,           http_workers, U32, 8, 1, 256, "threads that run request handlers") \
    X(http, waiting,           http_waiting, U32, 256, 1, 100000, "requests that may wait for a worker; more get 503") \
    X(http, open,              http_open, U32, 4096, 8, 1000000, "requests open at once, live streams and slow bodies included; more get 503") \
    X(http, open_per_address,  http_open_per_address, U32, 2048, 4, 1000000, "of these, from one address") \
    X(http, open_per_session,  http_open_per_session, U32, 256, 2, 1000000, "of these, of one sign-in, device or service") \
    X(http, body_bytes,        http_body_bytes, U64, 67108864, 1048576, 1099511627776, "memory for request bodies above 16 KiB, of all requests together; more get 503") \
    X(http, memory_bytes,      http_memory_bytes, U64, 134217728, 1048576, 1099511627776, "memory of one shard for what HTTP connections have not taken or not read; without any, they are cut") \
    X(http, stream_bytes,      http_stream_bytes, U32, 1048576, 4096, 268435456, "unread bytes of a live stream after which its reader is too slow") \
    X(http2, streams,          http2_streams, U32, 100, 1, 10000, "requests at once on one HTTP/2 connection; more are refused") \
    X(http2, window_bytes,     http2_window_bytes, U32, 262144, 16384, 16777216, "bytes of a request body that may wait for their handler, each stream") \
    X(http2, connection_window_bytes, http2_connection_window_bytes, U32, 1048576, 65535, 268435456, "bytes of request bodies that may wait, each HTTP/2 connection") \
    X(http2, resets,           http2_resets, U32, 200, 1, 1000000, "most streams reset in 10 s on one connection (rapid reset)") \
    X(http2, settings,         http2_settings, U32, 20, 1, 1000000, "most SETTINGS frames in 10 s on one connection") \
    X(http2, pings,            http2_pings, U32, 60, 1, 1000000, "most PING frames in 10 s on one connection") \
    X(http2, priorities,       http2_priorities, U32, 500, 1, 1000000, "most PRIORITY and PRIORITY_UPDATE frames in 10 s on one connection") \
    X(http2, window_updates,   http2_window_updates, U32, 1000, 1, 1000000, "most WINDOW_UPDATE frames in 10 s on one connection beyond those that our data asks for") \
    X(http2, empty_frames,     http2_empty_frames, U32, 200, 1, 1000000, "most empty DATA and unknown frames in 10 s on one connection") \
    X(http2, continuations,    http2_continuations, U32, 8, 0, 1000, "most CONTINUATION frames of one header block") \
    X(http2, stalls,           http2_stalls, U32, 8, 1, 100000, "most answers in 10 s that a peer asks for and then gives no window for") \
    X(websocket, frame_bytes,  websocket_frame_bytes, U32, 1048576, 1024, 16777216, "largest frame of a WebSocket that carries MQTT") \
    X(websocket, message_bytes, websocket_message_bytes, U32, 16777216, 1024, 268435456, "largest message of a WebSocket, all its frames; nothing is held back until one is whole") \
    X(websocket, fragments,    websocket_fragments, U32, 1024, 1, 1000000, "most frames of one message of a WebSocket") \
    X(websocket, control_frames, websocket_control_frames, U32, 100, 1, 1000000, "most pings, pongs and empty frames in 10 s on one WebSocket") \
    X(websocket, ping_ms,      websocket_ping_ms, U32, 30000, 100, 3600000, "a silent WebSocket is pinged after this time and closed when as long again brings nothing") \
    X(broker, packet_bytes,    broker_packet_bytes, U32, 262144, 1024, 16777216, "largest MQTT packet taken or sent") \
    X(broker, connect_ms,      broker_connect_ms, U32, 10000, 100, 600000, "time for CONNECT after the handshake") \
    X(broker, keep_alive_s,    broker_keep_alive_s, U32, 1200, 1, 65535, "longest keep-alive; MQTT 5.0 clients that want none or more are told this one") \
    X(broker, receive_maximum, broker_receive_maximum, U32, 512, 1, 65535, "unacknowledged QoS 1 and 2 publications taken from one client at once") \
    X(broker, inflight,        broker_inflight, U32, 512, 1, 16384, "unacknowledged QoS 1 and 2 deliveries to one client at once") \
    X(broker, queue_messages,  broker_queue_messages, U32, 65536, 16, 1048576, "messages that wait for one slow or absent subscriber; QoS 0 is then dropped, a session without expiry is cut, one with expiry loses its oldest") \
    X(broker, queue_bytes,     broker_queue_bytes, U32, 16777216, 65536, 1073741824, "bytes that wait for one slow subscriber") \
    X(broker, subscriptions,   broker_subscriptions, U32, 1000, 1, 1000000, "most subscriptions of one session") \
    X(broker, sessions,        broker_sessions, U32, 64, 1, 1000000, "most sessions of one service at once") \
    X(broker, session_expiry_s, broker_session_expiry_s, U32, 604800, 0, 4294967295, "longest time that a session waits for its client; 3.1.1 clients without clean session get it; 4294967295 means for ever") \
    X(broker, will_grace_s,    broker_will_grace_s, U32, 10, 0, 86400, "after a start of the hub clients have this time to come back before their wills are spoken") \
    X(broker, retained_messages, broker_retained_messages, U32, 100000, 0, 100000000, "most retained messages") \
    X(broker, retained_device_messages, broker_retained_device_messages, U32, 1000, 0, 100000000, "most retained messages below one device's topics") \
    X(broker, retained_device_bytes, broker_retained_device_bytes, U64, 4194304, 0, 1099511627776, "most bytes of them, topics included") \
    X(broker, retained_bytes,  broker_retained_bytes, U64, 67108864, 0, 1099511627776, "most bytes of retained messages, topics included; each shard's memory holds what it took") \
    X(broker, topic_aliases,   broker_topic_aliases, U32, 16, 0, 1024, "topic aliases of one connection in each direction (MQTT 5.0)") \
    X(broker, topic_bytes,     broker_topic_bytes, U32, 1024, 16, 65535, "longest topic name or filter") \
    X(broker, topic_levels,    broker_topic_levels, U32, 32, 2, 128, "deepest topic name or filter") \
    X(broker, messages_s,      broker_messages_s, U32, 10000, 0, 100000000, "messages a second of one device or service; faster ones are read more slowly; 0 means no limit") \
    X(broker, bytes_s,         broker_bytes_s, U32, 8388608, 0, 4294967295, "bytes a second of one device or service; faster ones are read more slowly; 0 means no limit") \
    X(broker, memory_bytes,    broker_memory_bytes, U64, 268435456, 1048576, 1099511627776, "memory of one shard for messages under way and unsent bytes") \
    X(broker, ring_slots,      broker_ring_slots, U32, 8192, 64, 1048576, "messages under way from one shard to another, a power of two") \
    X(broker, stored,          broker_stored, TEXT, "d/+/telemetry/# d/+/event/# d/+/state/reported d/+/update/status", 0, 1000, "topics whose messages are stored, by space; their QoS 1 and 2 are acknowledged after the commit; d/+/update/status always is") \
    X(ota, snapshot_hours,     ota_snapshot_hours, U32, 168, 1, 8760, "how long a snapshot of the update repository is good; it is renewed at half that time") \
    X(ota, timestamp_hours,    ota_timestamp_hours, U32, 48, 1, 8760, "how long a timestamp of the update repository is good: a device that is shown an old repository notices after that time") \
    X(ota, bytes,              ota_bytes, U64, 10737418240, 65536, 1000000000000000, "most bytes of images that the hub keeps; more are refused") \
    X(ota, image_bytes,        ota_image_bytes, U64, 2147483648, 65536, 1000000000000000, "longest image or metadata file that is published") \
    X(ota, check_kib_s,        ota_check_kib_s, U32, 16384, 64, 10485760, "how fast the hub reads its images after a start, to see whether they are still what was signed, in KiB a second") \
    X(ota, prune_days,         ota_prune_days, U32, 180, 0, 36500, "days after which the images of a withdrawn release are removed by themselves, unless a device runs it, a rollout gives it out or a floor needs it; 0 means never") \
    X(ota, turns_days,         ota_turns_days, U32, 90, 0, 36500, "days after the end of a rollout, and of the one that follows it, in which the hub knows each device's turn in it; then its counts and the devices' stories are left; 0 means for ever") \
    X(ota, history,            ota_history, U32, 50, 1, 10000, "entries of each device's update story, oldest out first") \
    X(ota, burst_ms,           ota_burst_ms, U32, 5000, 100, 600000, "a rollout may ask as many devices at once as its rate gives in this time, one at least") \
    X(access, suback_refusal,  access_suback_refusal, TEXT, "exact", 1, 16, "how SUBACK refuses to MQTT 5.0 clients: exact (0x87 not authorized) or unspecified (0x80); 3.1.1 knows 0x80 only") \
    X(admin, clients,          admin_clients,        U32,  8,           1, 64,   "connections to the admin socket at once") \
    X(admin, line_bytes,       admin_line_bytes,     U32,  8388608,     4096, 16777216, "longest request on the admin socket") \
    X(admin, idle_ms,          admin_idle_ms,        U32,  60000,       1000, 3600000, "a silent connection to the admin socket is closed after this time; a hub that was started for one command ends when nobody comes for as long")
/* clang-format on */

#endif
