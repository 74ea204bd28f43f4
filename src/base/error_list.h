/* Every error of the project, once: X(NAME, CLASS, sentence that says what to do).
 *
 * CLASS says whose turn it is:
 *   RETRY  the same call may succeed later
 *   PEER   the other side sent something wrong; trying the same again will not help
 *   OURS   a fault, limit or missing resource on this side
 * error.h turns the list into the enum, error.c into the sentences. */
#ifndef PORCH_BASE_ERROR_LIST_H
#define PORCH_BASE_ERROR_LIST_H

#define PORCH_ERROR_LIST(X)                                                                         \
    X(TRUNCATED, PEER, "the input ends before the value does; send it whole")                       \
    X(MALFORMED, PEER, "the input breaks the format's grammar; see the message for the place")      \
    X(NO_SPACE, OURS, "the block given is too small; give a larger one")                            \
    X(LIMIT, PEER, "a limit was passed; the message names the limit and the setting that holds it") \
    X(USAGE, PEER, "the call's words are off; see --help")                                          \
    X(NOT_FOUND, PEER, "there is nothing by that name; list what there is")                         \
    X(EXISTS, PEER, "that name is taken; choose another or remove the old one")                     \
    X(DENIED, PEER, "access is refused; the operator's log names the statement and a grant")        \
    X(AUTH, PEER, "the proof of identity is wrong or missing")                                      \
    X(STEP_UP, PEER, "this needs a fresh code; prove once more that it is you")                     \
    X(STEP_UP_APP, PEER, "this needs a fresh code of the authenticator app")                        \
    X(EXPIRED, PEER, "it was valid and its time is over; ask for a new one")                        \
    X(REVOKED, PEER, "it was withdrawn and will not come back; enrol again")                        \
    X(STATE, PEER, "this step does not fit the state; the message names the step that does")        \
    X(UNSUPPORTED, PEER, "this feature is not offered; the message names what is")                  \
    X(BUSY, RETRY, "too much is under way; try again shortly")                                      \
    X(AGAIN, RETRY, "nothing to do until the other side moves; wait for it")                        \
    X(CLOSED, RETRY, "the other side has closed; connect again")                                    \
    X(TIMEOUT, RETRY, "the other side did not answer in time; try again")                           \
    X(IO, OURS, "the operating system refused; see the message for the call and its errno")         \
    X(FULL, OURS, "the disk or a quota is full; free some space")                                   \
    X(MODE, OURS, "a file's owner or mode is too open; the message has the command that mends it")  \
    X(CONFIG, OURS, "a setting is unknown or wrong; the message names the nearest known one")       \
    X(DATABASE, OURS, "the database refused; see the message")                                      \
    X(CRYPTO, OURS, "the crypto library refused; see the message")                                  \
    X(SIGNATURE, PEER, "a signature or tag does not fit the data; it was changed or is not ours")   \
    X(HASH, PEER, "the content's hash is not the one announced; send it again")                     \
    X(ROLLBACK, PEER, "it is older than what was seen before; publish a newer version")             \
    X(MEDIA, PEER, "the clip cannot be decoded; check the camera's encoder")                        \
    X(CHILD, RETRY, "a helper process is away; the supervisor restarts it")                         \
    X(INTERNAL, OURS, "a promise inside the program was broken; please report it with the log")

#endif
