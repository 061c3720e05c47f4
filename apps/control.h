/* The control socket of a running instance: $XDG_RUNTIME_DIR/tapglass/NAME.sock, else
 * /tmp/tapglass-UID/NAME.sock, in a directory of mode 0700. A request is a length of four bytes,
 * most significant first, and so many bytes of JSON,
 *
 *   {"v": 1, "argv": ["ss", "-t"]}
 *
 * with the standard descriptors of whoever asks passed along (SCM_RIGHTS), and behind them those of
 * files that the verb is to read or write. The answer, in the same
 * form, comes when the verb has ended: {"v": 1, "exit": 0}. That the asking side sends no more asks
 * the verb to end (Ctrl-C). argv ["hello"] tells what is running instead, without descriptors. */
#ifndef TAPGLASS_APPS_CONTROL_H
#define TAPGLASS_APPS_CONTROL_H

#include "link.h"

#define CONTROL_VERSION     1
#define CONTROL_REQUEST_MAX 65536u
#define CONTROL_CLIENTS_MAX 16u
#define CONTROL_PATH_BYTES  108u

struct control;

/* control_path.c: where sockets are. All with the user's id as it is outside of private namespaces.
 */

/* "/run/user/1000/tapglass/NAME.sock"; false: the path is too long. */
bool control_path(const char *name, char path[CONTROL_PATH_BYTES]);
/* A listening descriptor at the path, in place of a stale socket; -errno with err filled in:
 * -EADDRINUSE if an instance of that name is running. */
int control_listen(const char *path, struct tg_host_error *err);
/* Removes the socket, and the directory if it is empty. */
void control_unlink(const char *path);
/* Whose instance of that name is running here, if it is another user's: reads a table like
 * /proc/net/unix. */
bool control_other_owner(const char *table, const char *name, unsigned own_uid, unsigned *uid);
/* What to tell somebody whom the stack of user uid is not for. */
void control_error_other(unsigned uid, struct tg_host_error *err);

/* control.c: the running instance. */

/* Answers on the descriptor of control_listen. url: of the relay, or NULL. NULL: out of memory. */
struct control *control_start(int fd, const struct link *l, const char *url);
/* After every round. Returns when to be called again, ns. */
uint64_t control_round(struct control *c, uint64_t now_ns);
/* Ends all jobs. Before link_close. */
void control_free(struct control *c);

/* control_client.c: those who ask. */

struct control_hello {
	int pid;
	char link[16]; /* "here", "private", "sim" */
	char stack[16], host[16];
};
/* Connects to the instance: a descriptor; -errno with err filled in: -ENOENT if none is running,
 * -EPERM if it is another user's. */
int control_connect(const char *name, struct tg_host_error *err);
struct job_io;
/* Asks for a verb and waits for its end; closes fd. io: what it gets; NULL: the standard
 * descriptors. The exit status. */
int control_run(int fd, const struct job_io *io, int argc, char **argv);
/* Closes fd. False: no answer within the time. */
bool control_ask_hello(int fd, int timeout_ms, struct control_hello *out);

#endif
