/*
 * System calls: the form of a handler, and all of them, by the file they are in.
 *
 * A handler gets the caller and its registers (arguments in rdi, rsi, rdx, r10, r8, r9) and returns
 * what goes into rax. What each does is in its manual page, section 2; its comment, if it has one,
 * says where Phoenix differs. Handlers run without locks and may sleep.
 */
#ifndef PROC_SYSCALL_H
#define PROC_SYSCALL_H

#include <kern/proc.h>

typedef int64_t syscall_handler(struct task *task, struct trapframe *frame);

/* sys_mmap.c */
syscall_handler sys_mmap, sys_munmap, sys_mprotect, sys_brk, sys_remap_file_pages;

/* sys_madvise.c */
syscall_handler sys_madvise, sys_process_madvise, sys_mincore, sys_msync, sys_membarrier;

/* sys_mlock.c */
syscall_handler sys_mlock, sys_mlock2, sys_munlock, sys_mlockall, sys_munlockall;

/* sys_vm_rw.c */
syscall_handler sys_process_vm_readv, sys_process_vm_writev;

/* sys_shm.c */
syscall_handler sys_shmget, sys_shmat, sys_shmdt, sys_shmctl;
void shm_init(void); /* once */
void shm_end(void);  /* when there are no processes: segments do not go with them */

/* sys_msg.c, sys_sem.c, sem_operations.c */
syscall_handler sys_msgget, sys_msgsnd, sys_msgrcv, sys_msgctl;
syscall_handler sys_semget, sys_semctl, sys_semop, sys_semtimedop;
void msg_init(void); /* once */
void msg_end(void);  /* when there are no processes: queues and sets do not go with them */
void sem_init(void);
void sem_end(void);

/* sys_mqueue.c */
syscall_handler sys_mq_open, sys_mq_unlink, sys_mq_timedsend, sys_mq_timedreceive, sys_mq_notify;
syscall_handler sys_mq_getsetattr;

/* sys_mremap.c */
syscall_handler sys_mremap;

/* sys_file.c */
syscall_handler sys_read, sys_write, sys_readv, sys_writev, sys_pread64, sys_pwrite64, sys_preadv,
	sys_pwritev;
syscall_handler sys_preadv2, sys_pwritev2, sys_lseek, sys_ioctl, sys_ftruncate, sys_fallocate, sys_fsync;
/* readv or writev that waits for no pipe: -EAGAIN. */
int64_t transfer_without_waiting(struct task *task, const struct trapframe *frame, bool writing);
syscall_handler sys_syncfs, sys_sync, sys_sync_file_range, sys_fadvise64, sys_readahead;

/* sys_pipe.c */
syscall_handler sys_pipe, sys_pipe2, sys_splice, sys_tee, sys_vmsplice;

/*
 * Makes two files descriptors, whose numbers go into user memory at `to`, as pipe(2) does: both, or neither. Takes over the references in any
 * case. `flags`: O_CLOEXEC. -EMFILE, -ENOMEM, -EFAULT.
 */
int64_t install_pair(struct task *task, struct file *files[2], vaddr_t to, unsigned flags);

/* sys_socket.c */
syscall_handler sys_socket, sys_socketpair, sys_bind, sys_listen, sys_accept, sys_accept4, sys_connect;
syscall_handler sys_getsockname, sys_getpeername, sys_sendto, sys_recvfrom, sys_sendmsg, sys_recvmsg;
syscall_handler sys_sendmmsg, sys_recvmmsg, sys_shutdown, sys_setsockopt, sys_getsockopt;

/* sys_poll.c */
syscall_handler sys_poll, sys_ppoll, sys_select, sys_pselect6, sys_epoll_create, sys_epoll_create1;
syscall_handler sys_epoll_ctl, sys_epoll_wait, sys_epoll_pwait, sys_epoll_pwait2, sys_eventfd, sys_eventfd2;

/* sys_descriptor.c */
syscall_handler sys_close, sys_dup, sys_dup2, sys_dup3, sys_close_range, sys_fcntl, sys_flock;

/* sys_path.c */
syscall_handler sys_open, sys_openat, sys_creat, sys_mkdir, sys_mkdirat, sys_mknod, sys_mknodat, sys_symlink;
syscall_handler sys_symlinkat, sys_unlink, sys_rmdir, sys_unlinkat, sys_link, sys_linkat, sys_rename;
syscall_handler sys_renameat, sys_renameat2;

/* sys_stat.c */
syscall_handler sys_stat, sys_lstat, sys_fstat, sys_newfstatat, sys_statx, sys_access, sys_faccessat;
syscall_handler sys_faccessat2, sys_readlink, sys_readlinkat;

/* sys_directory.c */
syscall_handler sys_getdents, sys_getdents64, sys_chdir, sys_chroot, sys_fchdir, sys_getcwd, sys_umask;

/* sys_attributes.c */
syscall_handler sys_chmod, sys_fchmod, sys_fchmodat, sys_chown, sys_lchown, sys_fchown, sys_fchownat;
syscall_handler sys_utimensat, sys_utimes, sys_futimesat, sys_utime, sys_truncate;
syscall_handler sys_getxattr, sys_lgetxattr, sys_fgetxattr, sys_setxattr, sys_lsetxattr, sys_fsetxattr;
syscall_handler sys_listxattr, sys_llistxattr, sys_flistxattr;

/* sys_mount.c */
syscall_handler sys_statfs, sys_fstatfs, sys_mount, sys_umount2, sys_swapon, sys_swapoff,
	sys_name_to_handle_at;

/* sys_copy.c */
syscall_handler sys_sendfile, sys_copy_file_range, sys_memfd_create;

/* sys_process.c */
syscall_handler sys_getpid, sys_getppid, sys_gettid, sys_set_tid_address;

/* credentials.c */
syscall_handler sys_getuid, sys_geteuid, sys_getgid, sys_getegid, sys_getresuid, sys_getresgid;
syscall_handler sys_setuid, sys_setgid, sys_setreuid, sys_setregid, sys_setresuid, sys_setresgid;
syscall_handler sys_setfsuid, sys_setfsgid, sys_getgroups, sys_setgroups, sys_capget, sys_capset;

/* sys_prctl.c */
syscall_handler sys_prctl, sys_personality, sys_unshare, sys_arch_prctl;

/* kcmp.c */
syscall_handler sys_kcmp;

/* sys_limits.c */
syscall_handler sys_getrlimit, sys_setrlimit, sys_prlimit64, sys_getrusage, sys_times;
syscall_handler sys_getpriority, sys_setpriority, sys_sched_yield, sys_getcpu;
syscall_handler sys_ioprio_get, sys_ioprio_set;
syscall_handler sys_sched_getscheduler, sys_sched_setscheduler, sys_sched_getparam, sys_sched_setparam;
syscall_handler sys_sched_get_priority_max, sys_sched_get_priority_min, sys_sched_rr_get_interval;
syscall_handler sys_sched_getaffinity, sys_sched_setaffinity, sys_sched_setattr, sys_sched_getattr;

/* sys_system.c */
syscall_handler sys_uname, sys_sethostname, sys_setdomainname, sys_sysinfo, sys_getrandom, sys_syslog;
syscall_handler sys_reboot, sys_not_here;

/* fork.c, execve.c, exit.c, waitpid.c */
syscall_handler sys_fork, sys_vfork, sys_clone, sys_clone3, sys_execve, sys_execveat;
syscall_handler sys_exit, sys_exit_group, sys_wait4, sys_waitid;

/* groups.c */
syscall_handler sys_setsid, sys_getsid, sys_setpgid, sys_getpgid, sys_getpgrp;

/* futex.c, robust_list.c */
syscall_handler sys_futex, sys_futex_waitv, sys_set_robust_list, sys_get_robust_list;

/* sys_signal.c */
syscall_handler sys_rt_sigaction, sys_rt_sigprocmask, sys_rt_sigpending, sys_pause, sys_rt_sigsuspend;
syscall_handler sys_rt_sigtimedwait, sys_sigaltstack, sys_rt_sigreturn, sys_restart_syscall;

/* sys_kill.c */
syscall_handler sys_kill, sys_tkill, sys_tgkill, sys_rt_sigqueueinfo, sys_rt_tgsigqueueinfo;
syscall_handler sys_pidfd_send_signal;

/* pidfd.c */
syscall_handler sys_pidfd_open, sys_pidfd_getfd;

/* sys_time.c */
syscall_handler sys_clock_gettime, sys_clock_getres, sys_clock_settime, sys_gettimeofday, sys_settimeofday;
syscall_handler sys_time, sys_nanosleep, sys_clock_nanosleep;

/* itimer.c, timers.c */
syscall_handler sys_getitimer, sys_setitimer, sys_alarm;
syscall_handler sys_timer_create, sys_timer_settime, sys_timer_gettime, sys_timer_getoverrun;
syscall_handler sys_timer_delete;

/* timerfd.c, signalfd.c */
syscall_handler sys_timerfd_create, sys_timerfd_settime, sys_timerfd_gettime, sys_signalfd, sys_signalfd4;

/* sys_mempolicy.c */
syscall_handler sys_set_mempolicy, sys_get_mempolicy, sys_mbind;

/* sys_phoenix.c */
syscall_handler sys_map_list, sys_vm_stats, sys_explain;

/* ---- For the calls on memory --------------------------------------------------------------------- */

/* Rounds a length up to pages; 0 where that wraps, or for 0. */
static inline uint64_t whole_pages(uint64_t bytes)
{
	return page_round_up(bytes) >= bytes ? page_round_up(bytes) : 0;
}

/* ---- Arenas (arenas.c) -------------------------------------------------------------------------- */

/* Tries to place something in an arena. 0, -ENOMEM if another arena should be tried, or another error. */
typedef int arena_attempt(struct map *arena, const struct placement *place, void *context);

/*
 * Makes the attempt in each arena until it succeeds; then, if `add`, in a new arena that has room for
 * `bytes`. 0, or what the last attempt returned.
 */
int arenas_try(struct user_space *space, uint64_t bytes, bool add, arena_attempt *attempt, void *context);

/* Adds an arena around a range of global data space that is in none. -EEXIST: another process has an arena there; -ENOMEM. The caller checked the range. */
int arenas_add_at(struct user_space *space, vaddr_t address, uint64_t bytes);

#endif
