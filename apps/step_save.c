/* save: a packet script that replays what was done. */
#include "step.h"

void save_command(struct repl *r, char *args)
{
	(void)args;
	refuse(r, "not yet");
}

void info_list(struct repl *r, char *args)
{
	(void)args;
	refuse(r, "not yet");
}
