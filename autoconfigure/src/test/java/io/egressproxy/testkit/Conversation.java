package io.egressproxy.testkit;

import java.io.ByteArrayOutputStream;
import java.io.EOFException;
import java.io.IOException;
import java.io.InputStream;
import java.io.OutputStream;
import java.net.InetSocketAddress;
import java.net.Socket;
import java.nio.charset.StandardCharsets;
import java.util.concurrent.CountDownLatch;
import javax.net.ssl.SSLSocket;
import org.jspecify.annotations.Nullable;

/** One connection to a {@link FaultyProxy}, as the steps of a {@link Script} see it; remembers every byte it got. */
final class Conversation {

    private final Socket raw;
    private final Socket socket;
    private final CountDownLatch released;
    private final CountDownLatch closed;
    private final ByteArrayOutputStream received = new ByteArrayOutputStream();
    private volatile @Nullable InetSocketAddress target;

    /**
     * @param raw the connection itself
     * @param socket the same, or TLS on top of it
     * @param released opens when the test says so
     * @param closed opens when the proxy is closed
     */
    Conversation(Socket raw, Socket socket, CountDownLatch released, CountDownLatch closed) {
        this.raw = raw;
        this.socket = socket;
        this.released = released;
        this.closed = closed;
    }

    byte[] received() {
        return received.toByteArray();
    }

    Socket socket() {
        return socket;
    }

    CountDownLatch released() {
        return released;
    }

    CountDownLatch closed() {
        return closed;
    }

    /** The target that the client asked for, once a step has read it. */
    @Nullable
    InetSocketAddress target() {
        return target;
    }

    void target(String host, int port) {
        target = InetSocketAddress.createUnresolved(host, port);
    }

    int read() throws IOException {
        int octet = in().read();
        if (octet < 0) {
            throw new EOFException("The client closed the connection");
        }
        received.write(octet);
        return octet;
    }

    byte[] read(int count) throws IOException {
        byte[] bytes = new byte[count];
        for (int i = 0; i < count; i++) {
            bytes[i] = (byte) read();
        }
        return bytes;
    }

    int readPort() throws IOException {
        return read() << 8 | read();
    }

    /** Reads text up to and without a zero byte. */
    String readZeroTerminated() throws IOException {
        StringBuilder text = new StringBuilder();
        for (int octet = read(); octet != 0; octet = read()) {
            text.append((char) octet);
        }
        return text.toString();
    }

    /** Reads up to and with the empty line that ends the head of a request. */
    String readHead() throws IOException {
        StringBuilder head = new StringBuilder();
        while (head.indexOf("\r\n\r\n") < 0) {
            head.append((char) read());
        }
        return head.toString();
    }

    void write(byte[] bytes) throws IOException {
        OutputStream out = socket.getOutputStream();
        out.write(bytes);
        out.flush();
    }

    void write(String text) throws IOException {
        write(text.getBytes(StandardCharsets.ISO_8859_1));
    }

    /** Reads and remembers until the client closes the connection. */
    void drain() throws IOException {
        byte[] buffer = new byte[8192];
        for (int count = in().read(buffer); count >= 0; count = in().read(buffer)) {
            received.write(buffer, 0, count);
        }
    }

    /** Ends the connection with a FIN: closing it with unread bytes would send a RST instead. */
    void finish() throws IOException {
        if (socket instanceof SSLSocket) {
            socket.close();
        } else {
            raw.shutdownOutput();
            drain();
        }
    }

    /** Ends the connection with a RST. */
    void reset() throws IOException {
        raw.setSoLinger(true, 0);
        raw.close();
    }

    private InputStream in() throws IOException {
        return socket.getInputStream();
    }
}
