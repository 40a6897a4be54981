package io.egressproxy.testkit;

import java.io.IOException;
import java.net.InetAddress;
import java.net.InetSocketAddress;
import java.net.Socket;
import java.net.UnknownHostException;
import java.nio.charset.StandardCharsets;
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.TimeUnit;

/**
 * What a {@link FaultyProxy} does with a connection, step by step. After the last step the connection stays open and
 * silent until the client closes it, unless a step closed it. Immutable; each method returns a longer script.
 */
public final class Script {

    @FunctionalInterface
    private interface Step {
        void run(Conversation conversation) throws IOException, InterruptedException;
    }

    private final String name;
    private final List<Step> steps;

    private Script(String name, List<Step> steps) {
        this.name = name;
        this.steps = List.copyOf(steps);
    }

    /** An empty script: accepts and says nothing. The name is what parameterized tests show. */
    public static Script named(String name) {
        return new Script(name, List.of());
    }

    /** Reads the given number of bytes. */
    public Script read(int count) {
        return then(conversation -> conversation.read(count));
    }

    /** Waits for one byte, which is how a client shows that it has begun to speak. */
    public Script readFirstByte() {
        return read(1);
    }

    /** Reads the head of an HTTP request, up to the empty line. */
    public Script readHead() {
        return then(conversation -> {
            String[] line = conversation.readHead().split(" ", 3);
            int colon = line[1].lastIndexOf(':');
            if (line[0].equals("CONNECT") && colon > 0) {
                conversation.target(line[1].substring(0, colon), Integer.parseInt(line[1].substring(colon + 1)));
            }
        });
    }

    /** Reads a SOCKS5 greeting with all its methods. */
    public Script readSocks5Greeting() {
        return then(conversation -> {
            conversation.read();
            conversation.read(conversation.read());
        });
    }

    /** Reads the user and the password of RFC 1929. */
    public Script readSocks5Credentials() {
        return then(conversation -> {
            conversation.read();
            conversation.read(conversation.read());
            conversation.read(conversation.read());
        });
    }

    /**
     * Agrees on a method with the client: none if it is offered, else user and password, which it takes whatever they
     * are.
     */
    public Script agreeOnSocks5Method() {
        return then(conversation -> {
            conversation.read();
            String methods = new String(conversation.read(conversation.read()), StandardCharsets.ISO_8859_1);
            if (methods.indexOf(0) >= 0) {
                conversation.write(new byte[] {5, 0});
                return;
            }
            conversation.write(new byte[] {5, 2});
            conversation.read();
            conversation.read(conversation.read());
            conversation.read(conversation.read());
            conversation.write(new byte[] {1, 0});
        });
    }

    /** Reads a SOCKS5 request with its whole address. */
    public Script readSocks5Request() {
        return then(conversation -> {
            int addressType = conversation.read(4)[3];
            String host =
                    switch (addressType) {
                        case 1 -> address(conversation.read(4));
                        case 3 -> new String(conversation.read(conversation.read()), StandardCharsets.US_ASCII);
                        case 4 -> address(conversation.read(16));
                        default -> throw new IOException("Unknown address type " + addressType);
                    };
            conversation.target(host, conversation.readPort());
        });
    }

    /** Reads a SOCKS4 or SOCKS4a request. */
    public Script readSocks4Request() {
        return then(conversation -> {
            conversation.read(2);
            int port = conversation.readPort();
            byte[] address = conversation.read(4);
            conversation.readZeroTerminated();
            boolean named = address[0] == 0 && address[1] == 0 && address[2] == 0 && address[3] != 0;
            conversation.target(named ? conversation.readZeroTerminated() : address(address), port);
        });
    }

    /** Writes the text, as ISO-8859-1. */
    public Script write(String text) {
        return then(conversation -> conversation.write(text));
    }

    /** Writes the bytes, given as numbers from 0 to 255. */
    public Script write(int... octets) {
        byte[] bytes = new byte[octets.length];
        for (int i = 0; i < octets.length; i++) {
            bytes[i] = (byte) octets[i];
        }
        return then(conversation -> conversation.write(bytes));
    }

    /** Writes the text byte by byte, with the pause before each. */
    public Script drip(String text, Duration pause) {
        Script dripping = this;
        for (int i = 0; i < text.length(); i++) {
            dripping = dripping.pause(pause).write(text.substring(i, i + 1));
        }
        return dripping;
    }

    /** Lets time pass; cut short when the proxy is closed. */
    public Script pause(Duration duration) {
        return then(conversation -> {
            if (conversation.closed().await(duration.toNanos(), TimeUnit.NANOSECONDS)) {
                throw new IOException("The proxy was closed");
            }
        });
    }

    /** Waits until the test calls {@link FaultyProxy#release()}. */
    public Script awaitRelease() {
        return then(conversation -> conversation.released().await());
    }

    /** Ends the connection with a FIN. */
    public Script close() {
        return then(Conversation::finish);
    }

    /** Ends the connection with a RST. */
    public Script reset() {
        return then(Conversation::reset);
    }

    /** Connects to the target that the client asked for, on this machine, and passes bytes on in both directions. */
    public Script relay() {
        return then(conversation -> {
            InetSocketAddress asked = conversation.target();
            if (asked == null) {
                throw new IOException("No target was read");
            }
            try (Socket target = new Socket(LoopbackPorts.HOST, asked.getPort())) {
                Thread back = new Thread(() -> pump(target, conversation.socket()), "testkit-relay");
                back.setDaemon(true);
                back.start();
                pump(conversation.socket(), target);
                back.join(TimeUnit.SECONDS.toMillis(5));
            }
        });
    }

    @Override
    public String toString() {
        return name;
    }

    /** Runs all steps, then listens until the client is gone. */
    void run(Conversation conversation) throws IOException, InterruptedException {
        for (Step step : steps) {
            step.run(conversation);
            if (conversation.socket().isClosed()) {
                return;
            }
        }
        conversation.drain();
    }

    private Script then(Step step) {
        List<Step> longer = new ArrayList<>(steps);
        longer.add(step);
        return new Script(name, longer);
    }

    private static String address(byte[] octets) throws UnknownHostException {
        return InetAddress.getByAddress(octets).getHostAddress();
    }

    private static void pump(Socket from, Socket to) {
        try {
            from.getInputStream().transferTo(to.getOutputStream());
            to.shutdownOutput();
        } catch (IOException e) {
            close(from);
            close(to);
        }
    }

    private static void close(Socket socket) {
        try {
            socket.close();
        } catch (IOException e) {
            throw new IllegalStateException(e);
        }
    }
}
