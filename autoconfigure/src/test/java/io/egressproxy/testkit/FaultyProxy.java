package io.egressproxy.testkit;

import java.io.IOException;
import java.io.UncheckedIOException;
import java.net.InetAddress;
import java.net.InetSocketAddress;
import java.net.ServerSocket;
import java.net.Socket;
import java.net.SocketException;
import java.nio.charset.StandardCharsets;
import java.util.List;
import java.util.Set;
import java.util.concurrent.ConcurrentHashMap;
import java.util.concurrent.CopyOnWriteArrayList;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.atomic.AtomicInteger;
import javax.net.ssl.SSLContext;
import javax.net.ssl.SSLSocket;
import org.jspecify.annotations.Nullable;

/**
 * A server that treats its clients as a broken or hostile proxy would. Plain sockets and threads, so that it can send
 * what no protocol library would let it send. {@link Faults} has the scripts.
 */
public final class FaultyProxy implements AutoCloseable {

    private final ServerSocket server;
    private final @Nullable SSLContext tls;
    private final CountDownLatch released = new CountDownLatch(1);
    private final CountDownLatch closed = new CountDownLatch(1);
    private final AtomicInteger accepted = new AtomicInteger();
    private final List<Conversation> conversations = new CopyOnWriteArrayList<>();
    private final Set<Socket> open = ConcurrentHashMap.newKeySet();
    private volatile List<Script> scripts;

    private FaultyProxy(@Nullable SSLContext tls, List<Script> scripts) {
        this.tls = tls;
        this.scripts = List.copyOf(scripts);
        try {
            this.server = new ServerSocket();
            server.bind(new InetSocketAddress(InetAddress.getByName(LoopbackPorts.HOST), LoopbackPorts.free()), 500);
        } catch (IOException e) {
            throw new UncheckedIOException(e);
        }
        daemon(this::accept, "testkit-faulty-accept");
    }

    /**
     * A proxy that follows the script in each connection; of several, the n-th in the n-th, and the last in all
     * others.
     */
    public static FaultyProxy with(Script... scripts) {
        return new FaultyProxy(null, List.of(scripts));
    }

    /** The same behind TLS, for instance with {@link IssuedCertificate#jdkServerContext()}. */
    public static FaultyProxy withTls(SSLContext context, Script... scripts) {
        return new FaultyProxy(context, List.of(scripts));
    }

    /** A port of 127.0.0.1 at which nobody listens. */
    public static int closedPort() {
        return LoopbackPorts.free();
    }

    public String host() {
        return LoopbackPorts.HOST;
    }

    public int port() {
        return server.getLocalPort();
    }

    /** The proxy's URL without credentials. */
    public String url(String scheme) {
        return scheme + "://" + host() + ":" + port();
    }

    /** The proxy's URL with percent-encoded credentials. */
    public String url(String scheme, Credentials credentials) {
        return scheme + "://" + PercentEncoding.encode(credentials.username()) + ":"
                + PercentEncoding.encode(credentials.password()) + "@" + host() + ":" + port();
    }

    /** Follows other scripts in the connections accepted from now on, beginning with the first. */
    public void behave(Script... others) {
        scripts = List.of(others);
        accepted.set(0);
    }

    /** Ends {@link Script#awaitRelease()} in all connections. */
    public void release() {
        released.countDown();
    }

    /** How many connections were accepted. */
    public int connections() {
        return conversations.size();
    }

    /** How many connections are open now, as far as this side knows. */
    public int openConnections() {
        return open.size();
    }

    /** The bytes received in each connection, in the order of acceptance; bytes of a relay are not kept. */
    public List<byte[]> received() {
        return conversations.stream().map(Conversation::received).toList();
    }

    /** {@link #received()} as ISO-8859-1, which keeps every byte. */
    public List<String> receivedText() {
        return received().stream()
                .map(bytes -> new String(bytes, StandardCharsets.ISO_8859_1))
                .toList();
    }

    @Override
    public void close() {
        closed.countDown();
        released.countDown();
        quietly(server::close);
        open.forEach(socket -> quietly(socket::close));
    }

    private void accept() {
        while (!server.isClosed()) {
            try {
                Socket socket = server.accept();
                List<Script> current = scripts;
                Script script = current.get(Math.min(accepted.getAndIncrement(), current.size() - 1));
                open.add(socket);
                Conversation conversation = new Conversation(socket, secured(socket), released, closed);
                conversations.add(conversation);
                daemon(() -> serve(conversation, socket, script), "testkit-faulty " + script);
            } catch (SocketException e) {
                return;
            } catch (IOException e) {
                throw new UncheckedIOException(e);
            }
        }
    }

    private void serve(Conversation conversation, Socket socket, Script script) {
        try {
            script.run(conversation);
        } catch (IOException e) {
            // The client, or the test, has ended the connection: what faulty connections are for.
        } catch (InterruptedException e) {
            Thread.currentThread().interrupt();
        } finally {
            quietly(conversation.socket()::close);
            quietly(socket::close);
            open.remove(socket);
        }
    }

    private Socket secured(Socket socket) throws IOException {
        if (tls == null) {
            return socket;
        }
        SSLSocket secured = (SSLSocket) tls.getSocketFactory().createSocket(socket, LoopbackPorts.HOST, port(), true);
        secured.setUseClientMode(false);
        return secured;
    }

    private static void daemon(Runnable task, String name) {
        Thread thread = new Thread(task, name);
        thread.setDaemon(true);
        thread.start();
    }

    @FunctionalInterface
    private interface Closing {
        void close() throws IOException;
    }

    private static void quietly(Closing closing) {
        try {
            closing.close();
        } catch (IOException e) {
            // Closing again what the other side has reset.
        }
    }
}
