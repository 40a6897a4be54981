package io.egressproxy.testkit;

import java.nio.charset.StandardCharsets;
import java.util.Base64;
import java.util.List;

/**
 * What a proxy demands of its callers. Every password contains {@link #CANARY}, so that searching logs and messages for
 * that text proves that no password leaked.
 */
public record Credentials(String username, String password) {

    /** Part of every password; survives percent-encoding, but not Base64. */
    public static final String CANARY = "C4NARY";

    public Credentials {
        if (!password.contains(CANARY)) {
            throw new IllegalArgumentException("A password of the test kit must contain " + CANARY);
        }
    }

    /** The forms in which the password can turn up in a log, including the value of a Basic header. */
    public List<String> secretForms() {
        byte[] pair = (username + ":" + password).getBytes(StandardCharsets.UTF_8);
        return List.of(
                password,
                PercentEncoding.encode(password),
                Base64.getEncoder().encodeToString(pair),
                Base64.getEncoder().encodeToString(password.getBytes(StandardCharsets.UTF_8)));
    }

    /** Does not contain the password: parameterized tests print it. */
    @Override
    public String toString() {
        return username + ":***";
    }
}
