package io.egressproxy.endtoend;

import java.io.BufferedReader;
import java.io.IOException;
import java.net.InetSocketAddress;
import java.net.ServerSocket;
import java.net.Socket;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.locks.LockSupport;

/** Processes that a measurement needs: they end with it, however it ends. */
final class Children implements AutoCloseable {
    private static final Duration PATIENCE = Duration.ofSeconds(20);

    private final List<Process> running = new ArrayList<>();

    Children() {
        Runtime.getRuntime().addShutdownHook(new Thread(this::close));
    }

    /** A main class of ours in a JVM of its own; returns what it says first. */
    String java(Class<?> main, List<String> options, String... arguments) throws IOException {
        List<String> command = new ArrayList<>(
                List.of(Path.of(System.getProperty("java.home"), "bin", "java").toString()));
        command.addAll(options);
        command.addAll(List.of("-cp", System.getProperty("java.class.path"), main.getName()));
        command.addAll(List.of(arguments));
        Process process = new ProcessBuilder(command)
                .redirectError(ProcessBuilder.Redirect.INHERIT)
                .start();
        running.add(process);
        BufferedReader said = process.inputReader(StandardCharsets.UTF_8);
        String first = said.readLine();
        if (first == null) {
            throw new IllegalStateException(main.getSimpleName() + " has said nothing");
        }
        return first;
    }

    /** The proxy of Debian's package {@code microsocks}, on all addresses of this machine. */
    int microsocks() throws IOException {
        int port = freePort();
        start(List.of("microsocks", "-i", "0.0.0.0", "-p", String.valueOf(port)), port);
        return port;
    }

    /** The proxy of Debian's package {@code tinyproxy-bin}, on all addresses of this machine. */
    int tinyproxy() throws IOException {
        int port = freePort();
        Path configuration = Files.createTempFile("tinyproxy", ".conf");
        configuration.toFile().deleteOnExit();
        Files.writeString(
                configuration,
                """
                Listen 0.0.0.0
                Port %d
                Timeout 60
                MaxClients 200
                LogLevel Error
                Allow 127.0.0.0/8
                """
                        .formatted(port));
        start(List.of("tinyproxy", "-d", "-c", configuration.toString()), port);
        return port;
    }

    private void start(List<String> command, int port) throws IOException {
        running.add(new ProcessBuilder(command)
                .redirectErrorStream(true)
                .redirectOutput(ProcessBuilder.Redirect.DISCARD)
                .start());
        long deadline = System.nanoTime() + PATIENCE.toNanos();
        while (!accepts(port)) {
            if (System.nanoTime() - deadline > 0) {
                throw new IllegalStateException(command.get(0) + " does not accept connections");
            }
            LockSupport.parkNanos(10_000_000);
        }
    }

    private static boolean accepts(int port) {
        try (Socket socket = new Socket()) {
            socket.connect(new InetSocketAddress("127.0.0.1", port), 1_000);
            return true;
        } catch (IOException notYet) {
            return false;
        }
    }

    /** Where nobody listens, as long as nobody else takes it. */
    static int freePort() throws IOException {
        try (ServerSocket socket = new ServerSocket(0)) {
            return socket.getLocalPort();
        }
    }

    /** Waits for the end of what has been started last. */
    void join() throws InterruptedException {
        Process last = running.remove(running.size() - 1);
        if (!last.waitFor(PATIENCE.toSeconds(), TimeUnit.SECONDS)) {
            last.destroyForcibly();
            throw new IllegalStateException("a child does not end");
        }
    }

    @Override
    public void close() {
        running.forEach(Process::destroyForcibly);
    }
}
