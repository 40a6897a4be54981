package io.egressproxy.testkit;

import java.io.IOException;
import java.io.UncheckedIOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import java.util.Locale;
import org.jspecify.annotations.Nullable;

/** A proxy of the lab: a directory, a port that stays, and the processes that run while it is started. */
final class ProxyProcess implements RunningProxy {

    private static final Duration DEADLINE = Duration.ofSeconds(20);

    /** Writes the configuration of a program and launches it in the foreground. */
    @FunctionalInterface
    interface Setup {
        void launch(ProxyProcess proxy) throws IOException;
    }

    private enum State {
        NEW,
        RUNNING,
        FROZEN,
        STOPPED,
        CLOSED
    }

    private final ProxyKind kind;
    private final boolean resolvesProxyOnlyName;
    private final Path directory;
    private final Setup setup;
    private final int port = LoopbackPorts.free();
    private final int innerPort = LoopbackPorts.free();
    private final List<ChildProcess> processes = new ArrayList<>();
    private final List<Runnable> cleanups = new ArrayList<>();
    private State state = State.NEW;

    ProxyProcess(Path labDirectory, ProxyKind kind, boolean resolvesProxyOnlyName, Setup setup) {
        this.kind = kind;
        this.resolvesProxyOnlyName = resolvesProxyOnlyName;
        this.directory = labDirectory.resolve(kind.name().toLowerCase(Locale.ROOT));
        this.setup = setup;
    }

    @Override
    public String name() {
        return kind.toString();
    }

    @Override
    public String program() {
        return kind.program();
    }

    @Override
    public String scheme() {
        return kind.scheme();
    }

    @Override
    public synchronized int port() {
        if (state == State.NEW) {
            start();
        }
        return port;
    }

    @Override
    public @Nullable Credentials credentials() {
        return kind.credentials().orElse(null);
    }

    @Override
    public String egressAddress() {
        return kind.egressAddress();
    }

    @Override
    public boolean resolvesProxyOnlyName() {
        return resolvesProxyOnlyName;
    }

    @Override
    public synchronized void start() {
        if (state == State.RUNNING) {
            return;
        }
        if (state == State.FROZEN || state == State.CLOSED) {
            throw new IllegalStateException(this + " is " + state + " and cannot be started");
        }
        try {
            SharedDirectories.create(directory);
            SharedDirectories.createLog(logFile());
            setup.launch(this);
            awaitAccepting(port);
            state = State.RUNNING;
        } catch (IOException e) {
            throw new UncheckedIOException("Cannot configure " + this, e);
        } finally {
            if (state != State.RUNNING) {
                killProcesses();
            }
        }
    }

    @Override
    public synchronized void stop() {
        killProcesses();
        LoopbackPorts.await(this + " refuses connections", DEADLINE, () -> !LoopbackPorts.accepts(port));
        state = State.STOPPED;
    }

    @Override
    public synchronized void freeze() {
        port();
        if (state != State.RUNNING) {
            throw new IllegalStateException(this + " is " + state + " and cannot be frozen");
        }
        processes.forEach(process -> process.signal("STOP"));
        state = State.FROZEN;
    }

    @Override
    public synchronized void thaw() {
        if (state == State.FROZEN) {
            processes.forEach(process -> process.signal("CONT"));
            state = State.RUNNING;
        }
    }

    @Override
    public Path logFile() {
        return directory.resolve("proxy.log");
    }

    @Override
    public String toString() {
        return name();
    }

    /** Undoes {@link #freeze()} and {@link #stop()}, so that one test does not spoil the next. */
    synchronized void restore() {
        thaw();
        if (state == State.STOPPED) {
            start();
        }
    }

    /** Ends it for good. */
    synchronized void close() {
        killProcesses();
        state = State.CLOSED;
    }

    /** Writes a file into the proxy's directory. */
    Path write(String file, String content) throws IOException {
        return Files.writeString(directory.resolve(file), content);
    }

    Path directory() {
        return directory;
    }

    /** The port at which clients are served; unlike {@link #port()} without starting anything. */
    int ownPort() {
        return port;
    }

    /** The port of the program behind a TLS front. */
    int innerPort() {
        return innerPort;
    }

    /** Runs a program until this proxy is stopped. */
    void launch(List<String> command) {
        ChildProcess process = new ChildProcess(directory, logFile());
        processes.add(process);
        process.start(command);
    }

    /** Does something when the launched programs have been killed, which leaves them no chance to do it. */
    void afterKill(Runnable cleanup) {
        cleanups.add(cleanup);
    }

    /** Waits until the programs launched so far accept connections at the port. */
    void awaitAccepting(int awaited) {
        LoopbackPorts.await(this + " accepts connections", DEADLINE, () -> {
            if (!processes.stream().allMatch(ChildProcess::isAlive)) {
                throw new IllegalStateException(this + " died: " + logTail());
            }
            return LoopbackPorts.accepts(awaited);
        });
    }

    private void killProcesses() {
        processes.forEach(ChildProcess::kill);
        processes.clear();
        cleanups.forEach(Runnable::run);
        cleanups.clear();
    }

    private String logTail() {
        try {
            String log = Files.readString(logFile());
            return log.substring(Math.max(0, log.length() - 2_000));
        } catch (IOException e) {
            return "(no log: " + e.getMessage() + ")";
        }
    }
}
