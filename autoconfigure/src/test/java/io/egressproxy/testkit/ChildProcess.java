package io.egressproxy.testkit;

import java.io.File;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.ExecutionException;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.concurrent.TimeUnit;
import java.util.stream.Stream;
import org.jspecify.annotations.Nullable;

/**
 * A foreground program as a child of this JVM, which must not outlive it. The lab kills it at the end; if the JVM
 * itself is killed, the kernel kills the child when the thread that started it dies, which is why one thread that
 * lives as long as the JVM starts all of them.
 */
final class ChildProcess {

    private static final ExecutorService LAUNCHER = Executors.newSingleThreadExecutor(task -> {
        Thread thread = new Thread(task, "testkit-launcher");
        thread.setDaemon(true);
        return thread;
    });

    private final Path directory;
    private final Path log;
    private volatile @Nullable Process process;

    ChildProcess(Path directory, Path log) {
        this.directory = directory;
        this.log = log;
    }

    /** Starts the program, whose output goes to the log. Messages leave out the command: it may hold a password. */
    void start(List<String> command) {
        List<String> guarded = new ArrayList<>();
        if (Programs.find("setpriv").isPresent()) {
            guarded.addAll(List.of("setpriv", "--pdeathsig", "KILL"));
        }
        guarded.addAll(command);
        ProcessBuilder builder = new ProcessBuilder(guarded)
                .directory(directory.toFile())
                .redirectInput(new File("/dev/null"))
                .redirectErrorStream(true)
                .redirectOutput(ProcessBuilder.Redirect.appendTo(log.toFile()));
        builder.environment().put("TMPDIR", directory.toString());
        try {
            process = LAUNCHER.submit(builder::start).get();
        } catch (ExecutionException e) {
            throw new IllegalStateException("Cannot start " + directory.getFileName(), e.getCause());
        } catch (InterruptedException e) {
            Thread.currentThread().interrupt();
            throw new IllegalStateException("Interrupted while starting " + directory.getFileName(), e);
        }
    }

    boolean isAlive() {
        Process current = process;
        return current != null && current.isAlive();
    }

    /** Kills the program and all its descendants, and waits until it is gone. */
    void kill() {
        Process current = process;
        if (current == null) {
            return;
        }
        family(current).forEach(ProcessHandle::destroyForcibly);
        try {
            if (!current.waitFor(10, TimeUnit.SECONDS)) {
                throw new IllegalStateException("Process " + current.pid() + " survives SIGKILL");
            }
        } catch (InterruptedException e) {
            Thread.currentThread().interrupt();
        }
    }

    /** Sends a signal, such as {@code STOP}, to the program and all its descendants. */
    void signal(String signal) {
        Process current = process;
        if (current == null) {
            throw new IllegalStateException("Not started");
        }
        List<String> command = new ArrayList<>(List.of("sh", "-c", "kill -" + signal + " \"$@\"", "kill"));
        family(current).map(handle -> Long.toString(handle.pid())).forEach(command::add);
        Programs.run(command);
    }

    private static Stream<ProcessHandle> family(Process process) {
        return Stream.concat(process.descendants(), Stream.of(process.toHandle()));
    }
}
