package io.egressproxy.sample.localproxy;

import java.nio.charset.StandardCharsets;
import java.security.MessageDigest;
import org.springframework.boot.context.properties.bind.DefaultValue;

/** A user name and a password that stay out of logs. */
record Credentials(@DefaultValue("") String username, @DefaultValue("") String password) {

    boolean accept(String givenUsername, String givenPassword) {
        // Both are always compared, and in constant time: the answer's delay must not tell how much was right.
        return same(username, givenUsername) & same(password, givenPassword);
    }

    private static boolean same(String expected, String given) {
        return MessageDigest.isEqual(expected.getBytes(StandardCharsets.UTF_8), given.getBytes(StandardCharsets.UTF_8));
    }

    @Override
    public String toString() {
        return "***";
    }
}
