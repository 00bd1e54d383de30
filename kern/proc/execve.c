/*
 * execve and execveat: a process gets another program.
 *
 * The new program's memory is made beside the old one's, with everything that may fail; then the process's other tasks are ended; and
 * then comes replace(), which cannot fail: from there on there is no way back to the old program. What the
 * new memory looks like is exec.c's business, where its strings come from strings.c's.
 */
#include <asm/errno.h>
#include <kern/fs.h>
#include <kern/inode.h>
#include <linux/binfmts.h>
#include <linux/elf.h>
#include <linux/fcntl.h>
#include <linux/limits.h>
#include <linux/mount.h>

#include "process_internal.h"

#define SCRIPT_BYTES 256 /* of a file's beginning that are looked at (Linux: BINPRM_BUF_SIZE) */
#define MOST_SCRIPTS 5   /* that are each other's interpreters */
#define NAME_SHOWN   64  /* bytes of an interpreter's name in a message */

#define FAIL(reason, error, ...) (env_format((reason)->text, REASON_BYTES, __VA_ARGS__), (error))

/* An exec under way. */
struct exec {
	struct task *task;
	int directory;  /* where `asked` begins: execveat's */
	unsigned flags; /* AT_... */
	char *asked;    /* the path, as it was given */
	char *path;     /* the path, as the program is told it */
	bool closes;    /* it leads through a descriptor that an exec closes: no interpreter could open it */
	struct string_store store;
	struct string_pack packs[2]; /* argv, envp */
	struct executable executable;
	struct page *script; /* script_bytes of strings that come before the arguments; NULL: none */
	size_t script_bytes;
	int64_t user, group;              /* whose rights the program gets; -1: the caller's */
	bool secure;                      /* they are others than the caller's */
	struct user_space *space;         /* the new program's */
	struct signal_handlers *handlers; /* the same */
};

enum { ARGUMENTS, ENVIRONMENT };

/* ---- Files ------------------------------------------------------------------------------------------------ */

int executable_open(struct executable *executable, struct task *task, int directory, const char *path,
		    unsigned flags)
{
	int error;

	*executable = (struct executable){.file = NULL};
	error = fs_open_exec(task, directory, path, flags, &executable->file);
	if (error)
		return error;
	error = file_contents(executable->file, &executable->blob, &executable->bytes);
	if (!error && executable->bytes == 0)
		error = -ENOEXEC;
	if (error)
		executable_close(executable);
	return error;
}

static int load_image(struct executable *executable, const char *path, struct reason *reason)
{
	struct map_label *label = file_label(executable->file);
	int error;

	reason->text[0] = '\0';
	if (!label)
		return -ENOMEM;
	error = elf_load(executable->blob, executable->bytes, path_last_part(path), label, &executable->image,
			 reason);
	map_label_unref(label);
	return error;
}

/* Opens the interpreter at `path` and makes its image, which becomes the executable's. Its own interpreter, if it names one, does not count. */
static int use_interpreter(struct executable *executable, struct task *task, const char *path,
			   struct reason *reason)
{
	struct executable interpreter;
	struct reason why = {.text = ""};
	uint64_t bytes;
	int error = executable_open(&interpreter, task, AT_FDCWD, path, 0);

	if (error == -ENOENT)
		return FAIL(reason, error, "needs interpreter %.*s, which is not here", NAME_SHOWN, path);
	if (!error)
		error = load_image(&interpreter, path, &why);
	if (!error) {
		executable->interpreter = interpreter.image;
		interpreter.image.entity = NULL;
	}
	bytes = interpreter.bytes;
	executable_close(&interpreter);
	if (error && error != -ENOMEM)
		env_format(reason->text, REASON_BYTES, "its interpreter %.*s cannot be used%s%s", NAME_SHOWN,
			   path, why.text[0] ? ": " : "", why.text);
	/* As on Linux, where the header is read before anything is looked at. */
	if (error == -ENOEXEC)
		return bytes < sizeof(Elf64_Ehdr) ? -EIO : -ELIBBAD;
	return error;
}

/* Reads the interpreter's name into `path`, which has room for it, and makes its image. */
static int load_interpreter(struct executable *executable, struct task *task, char *path,
			    struct reason *reason)
{
	const struct program_image *image = &executable->image;
	int error = blob_read(executable->blob, image->interpreter_offset, path, image->interpreter_bytes);

	if (error)
		return error;
	if (path[image->interpreter_bytes - 1] != '\0')
		return FAIL(reason, -ENOEXEC, "its interpreter's name has no end");
	return use_interpreter(executable, task, path, reason);
}

int executable_load(struct executable *executable, struct task *task, const char *path, struct reason *reason)
{
	struct page *page;
	int error = load_image(executable, path, reason);

	if (error || executable->image.interpreter_bytes == 0)
		return error;
	page = page_alloc(PAGE_KERNEL, 0);
	if (!page)
		return -ENOMEM;
	error = load_interpreter(executable, task, page_data(page), reason);
	page_free(page);
	return error;
}

void executable_close(struct executable *executable)
{
	if (executable->image.entity)
		entity_unref(executable->image.entity);
	if (executable->interpreter.entity)
		entity_unref(executable->interpreter.entity);
	if (executable->blob)
		blob_unref(executable->blob);
	if (executable->file)
		file_unref(executable->file);
	*executable = (struct executable){.file = NULL};
}

/* ---- Scripts ------------------------------------------------------------------------------------------------ */

static bool is_blank(char c)
{
	return c == ' ' || c == '\t';
}

/*
 * Takes the line "#!INTERPRETER [ARGUMENT]" apart, which is at most SCRIPT_BYTES long with its newline, or without one ends the file or has been cut in
 * its argument. -ENOEXEC: it is none.
 */
static int parse_script(char line[SCRIPT_BYTES + 1], char **interpreter, char **argument)
{
	char *end = line + 2, *at = line + 2;

	if (line[0] != '#' || line[1] != '!')
		return -ENOEXEC;
	while (*end != '\0' && *end != '\n')
		end++;
	while (is_blank(*at))
		at++;
	*interpreter = at;
	while (at < end && !is_blank(*at))
		at++;
	/* An interpreter's name that may have been cut is not run; and that of a line that is all there is, but empty, is no file. */
	if (at == line + SCRIPT_BYTES)
		return -ENOEXEC;
	if (at == *interpreter)
		return *end == '\0' && end < line + SCRIPT_BYTES ? -EACCES : -ENOEXEC;
	while (end > at && is_blank(end[-1]))
		end--;
	*end = '\0';
	while (is_blank(*at))
		*at++ = '\0';
	*argument = at < end ? at : NULL;
	return 0;
}

/* Puts a string before those of exec->script. */
static int put_before(struct exec *exec, const char *string)
{
	size_t bytes = strlen(string) + 1;
	char *strings;

	if (!exec->script)
		exec->script = page_alloc(PAGE_KERNEL, 0);
	if (!exec->script)
		return -ENOMEM;
	strings = page_data(exec->script);
	if (bytes > PAGE_SIZE - exec->script_bytes)
		return -E2BIG;
	memmove(strings + bytes, strings, exec->script_bytes);
	memcpy(strings, string, bytes);
	exec->script_bytes += bytes;
	return 0;
}

/*
 * The file is a script: opens its interpreter instead. The strings before the arguments are then the interpreter's path, the argument that
 * the script names, and the script's own path. Where it is the interpreter of another script, that path is there already, as the first of them.
 */
static int open_interpreter(struct exec *exec, char line[SCRIPT_BYTES + 1], const char **path)
{
	char *interpreter, *argument;
	int error = parse_script(line, &interpreter, &argument);

	if (!error && exec->script_bytes == 0) {
		error = string_pack_drop_first(&exec->packs[ARGUMENTS]);
		if (!error)
			error = put_before(exec, *path);
	}
	if (!error && argument)
		error = put_before(exec, argument);
	if (!error)
		error = put_before(exec, interpreter);
	if (error)
		return error;
	executable_close(&exec->executable);
	/* It is the first of the strings that come before the arguments. */
	*path = page_data(exec->script);
	return executable_open(&exec->executable, exec->task, AT_FDCWD, *path, 0);
}

/* Reads the file's beginning. Is it a script? 1, 0, or an error. */
static int is_script(struct executable *executable, char line[SCRIPT_BYTES + 1])
{
	uint64_t bytes = executable->bytes < SCRIPT_BYTES ? executable->bytes : SCRIPT_BYTES;
	int error = blob_read(executable->blob, 0, line, bytes);

	line[bytes] = '\0';
	return error ? error : line[0] == '#' && line[1] == '!';
}

/* Opens the program, or the one that its script names, and makes its image. */
static int load(struct exec *exec)
{
	char line[SCRIPT_BYTES + 1];
	const char *path = exec->path;
	struct reason reason;
	int error = executable_open(&exec->executable, exec->task, exec->directory, exec->asked, exec->flags);

	for (unsigned scripts = 0; !error; scripts++) {
		int script = is_script(&exec->executable, line);

		if (script < 0)
			return script;
		if (!script)
			break;
		if (scripts == MOST_SCRIPTS)
			return -ELOOP;
		if (exec->closes)
			return -ENOENT;
		error = open_interpreter(exec, line, &path);
	}
	return error ? error : executable_load(&exec->executable, exec->task, path, &reason);
}

/* ---- Strings -------------------------------------------------------------------------------------------------- */

static uint64_t room_for_strings(const struct process *process)
{
	uint64_t room = process->limits[RLIMIT_STACK].rlim_cur / 4;

	room = room < ARGUMENTS_MAX_BYTES ? room : ARGUMENTS_MAX_BYTES;
	return room > ARGUMENTS_SURE_BYTES ? room : ARGUMENTS_SURE_BYTES;
}

static int get_strings(struct exec *exec, vaddr_t arguments, vaddr_t environment)
{
	struct string_store *store = &exec->store;
	size_t count;
	int error = string_store_add_vector(store, arguments, &exec->packs[ARGUMENTS], &count);

	/* A program may count on the first of its arguments. */
	if (!error && count == 0)
		error = string_store_add_empty(store, &exec->packs[ARGUMENTS]);
	if (!error)
		error = string_store_add_vector(store, environment, &exec->packs[ENVIRONMENT], &count);
	return error ? error : string_store_finish(store, exec->packs, 2);
}

/* ---- The change -------------------------------------------------------------------------------------------------- */

int end_other_tasks(struct task *task)
{
	struct process *process = task->process;
	int error = 0;

	spin_lock(&process_lock);
	if (process->execing || process->signals.exiting)
		error = -EINTR;
	else
		process->execing = true;
	spin_unlock(&process_lock);
	if (error)
		return error;
	if (process->task_count > 1) {
		signal_kill_others(task);
		error = WAIT_EVENT(&process->news, process->task_count == 1, SLEEP_KILLABLE, TIME_NEVER);
	}
	if (error) {
		spin_lock(&process_lock);
		process->execing = false;
		spin_unlock(&process_lock);
	}
	return error;
}

/* The point of no return. The task is its process's only one. */
static void replace(struct exec *exec, struct trapframe *frame)
{
	struct task *task = exec->task;
	struct process *process = task->process;
	struct user_space *old = process->space;

	robust_list_end(task);
	futex_pi_end(task, false);
	task_clear_tid(task);
	spin_lock(&process_lock);
	task_take_pid_locked(task);
	process->space = exec->space;
	process->has_execed = true;
	process->execing = false;
	if (exec->secure)
		process->death_signal = 0;
	process->not_dumpable = exec->secure;
	credentials_exec(&process->credentials, exec->user, exec->group);
	spin_unlock(&process_lock);
	thread_use_map(exec->space->root);
	exec->space->program = file_ref(exec->executable.file);
	exec->space = NULL;
	note_most_pages(process, old);
	user_space_unref(old);
	process_end_borrowing(process);
	signal_exec(task, exec->handlers);
	exec->handlers = NULL;
	task_set_name(task, path_last_part(exec->path));
	file_table_close_on_exec(task->files, process);
	fpu_init(task->thread.fpu);
	fpu_load(task->thread.fpu);
	cpu_set_fs_base(0);
	cpu_set_gs_base(0);
	trapframe_init_user(frame, process->space->entry, process->space->stack);
}

/* Whose rights does the program get? Those of its file's owner and group, if that is marked so. */
static void find_rights(struct exec *exec)
{
	const struct credentials *own = &exec->task->process->credentials;
	const struct inode *inode = exec->executable.file->inode;
	uint32_t group_program = S_ISGID | S_IXGRP;

	exec->user = exec->group = -1;
	if (own->no_new_rights || inode_mounted_with(inode, MS_NOSUID))
		return;
	if (inode->mode & S_ISUID)
		exec->user = inode->uid;
	if ((inode->mode & group_program) == group_program)
		exec->group = inode->gid;
	exec->secure = (exec->user >= 0 && exec->user != own->user.real) ||
		       (exec->group >= 0 && exec->group != own->group.real);
}

static int make_space(struct exec *exec)
{
	const struct credentials *own = &exec->task->process->credentials;
	const struct program_start start = {
		.path = exec->path,
		.script = {.bytes = exec->script ? page_data(exec->script) : NULL,
			   .size = exec->script_bytes},
		.arguments = exec->packs[ARGUMENTS],
		.environment = exec->packs[ENVIRONMENT],
		.stack_bytes = exec->task->process->limits[RLIMIT_STACK].rlim_cur,
		.secure = exec->secure || own->user.effective != own->user.real ||
			  own->group.effective != own->group.real,
		.user = {.real = own->user.real,
			 .effective = exec->user < 0 ? own->user.effective : (uint32_t)exec->user},
		.group = {.real = own->group.real,
			  .effective = exec->group < 0 ? own->group.effective : (uint32_t)exec->group},
	};
	const struct program_image *interpreter = &exec->executable.interpreter;
	struct reason reason;

	exec->handlers = signal_handlers_create();
	if (!exec->handlers)
		return -ENOMEM;
	return user_space_create(&exec->executable.image, interpreter->entity ? interpreter : NULL, &start,
				 &exec->space, &reason);
}

static int run(struct exec *exec, vaddr_t arguments, vaddr_t environment, struct trapframe *frame)
{
	int error = get_strings(exec, arguments, environment);

	if (!error)
		error = load(exec);
	if (!error)
		find_rights(exec);
	if (!error)
		error = make_space(exec);
	/* What is closed now is not closed for others. */
	if (!error)
		error = files_unshare(exec->task);
	if (!error)
		error = end_other_tasks(exec->task);
	if (!error)
		replace(exec, frame);
	return error;
}

/* What the program is told of a path that begins at a descriptor: one through /dev/fd. -EBADF. */
static int name_by_descriptor(struct exec *exec)
{
	int flags = descriptor_flags(exec->task, exec->directory, -1);

	if (flags < 0)
		return flags;
	exec->closes = flags & FD_CLOEXEC;
	env_format(exec->path, PATH_MAX, "/dev/fd/%d%s%s", exec->directory, *exec->asked ? "/" : "",
		   exec->asked);
	return 0;
}

static int get_path(struct exec *exec, vaddr_t path)
{
	long length = copy_string_from_user(exec->asked, path, PATH_MAX);

	if (length < 0)
		return (int)length;
	if (length == 0 && !(exec->flags & AT_EMPTY_PATH))
		return -ENOENT;
	if (exec->flags & ~(unsigned)(AT_EMPTY_PATH | AT_SYMLINK_NOFOLLOW))
		return -EINVAL;
	if (exec->directory != AT_FDCWD && exec->asked[0] != '/')
		return name_by_descriptor(exec);
	memcpy(exec->path, exec->asked, (size_t)length + 1);
	return 0;
}

static void clean_up(struct exec *exec)
{
	string_store_end(&exec->store);
	executable_close(&exec->executable);
	if (exec->script)
		page_free(exec->script);
	if (exec->space)
		user_space_unref(exec->space);
	if (exec->handlers)
		signal_handlers_unref(exec->handlers);
}

/* With two pages for paths. */
static int exec_in_pages(struct exec *exec, vaddr_t path, vaddr_t arguments, vaddr_t environment,
			 struct trapframe *frame)
{
	int error = get_path(exec, path);

	if (!error)
		error = string_store_begin(&exec->store, room_for_strings(exec->task->process));
	if (error)
		return error;
	error = run(exec, arguments, environment, frame);
	clean_up(exec);
	return error;
}

_Static_assert(PATH_MAX <= PAGE_SIZE, "a path fits into a page");

static int exec_path(struct exec *exec, vaddr_t path, vaddr_t arguments, vaddr_t environment,
		     struct trapframe *frame)
{
	struct page *pages = page_alloc_run(PAGE_KERNEL, 2, 1, PAGE_ANYWHERE, 0);
	int error;

	if (!pages)
		return -ENOMEM;
	exec->asked = page_data(pages);
	exec->path = exec->asked + PAGE_SIZE;
	error = exec_in_pages(exec, path, arguments, environment, frame);
	page_free_run(pages, 2);
	return error;
}

int64_t sys_execve(struct task *task, struct trapframe *frame)
{
	struct exec exec = {.task = task, .directory = AT_FDCWD};

	return exec_path(&exec, frame->rdi, frame->rsi, frame->rdx, frame);
}

int64_t sys_execveat(struct task *task, struct trapframe *frame)
{
	struct exec exec = {.task = task, .directory = (int)frame->rdi, .flags = (unsigned)frame->r8};

	return exec_path(&exec, frame->rsi, frame->rdx, frame->r10, frame);
}
