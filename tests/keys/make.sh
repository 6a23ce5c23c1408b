#!/bin/sh
# Makes the keys of the tests as the tools that people use make them: openssl and Java's keytool. They open nothing.
# The password is `canary-password` everywhere.
set -eu
cd "$(dirname "$0")"
days=36500
password=canary-password

openssl genpkey -quiet -algorithm RSA -pkeyopt rsa_keygen_bits:2048 -out rsa.pem
openssl pkey -in rsa.pem -traditional -out rsa.pkcs1.pem
openssl req -x509 -new -key rsa.pem -days $days -subj '/O=Example/CN=rsa client' -out rsa.cert.pem
openssl pkcs8 -topk8 -in rsa.pem -passout pass:$password -out rsa.encrypted.pem
openssl rsa -in rsa.pem -traditional -aes128 -passout pass:$password -out rsa.legacy-encrypted.pem
openssl pkcs12 -export -inkey rsa.pem -in rsa.cert.pem -name rsa -passout pass:$password -out rsa.p12
openssl pkcs12 -export -legacy -inkey rsa.pem -in rsa.cert.pem -name rsa -passout pass:$password -out rsa.legacy.p12
openssl pkcs12 -export -inkey rsa.pem -nocerts -name rsa -passout pass:$password -out rsa.no-cert.p12
openssl genpkey -quiet -algorithm RSA -pkeyopt rsa_keygen_bits:1024 -out rsa1024.pem

openssl genpkey -quiet -algorithm EC -pkeyopt ec_paramgen_curve:P-256 -out ec.pem
# With the curve's parameters in front, as `openssl ecparam -genkey` leaves them.
{ openssl ecparam -name prime256v1; openssl pkey -in ec.pem -traditional; } > ec.sec1.pem
openssl req -x509 -new -key ec.pem -days $days -subj '/CN=ec client' -out ec.cert.pem
openssl genpkey -quiet -algorithm EC -pkeyopt ec_paramgen_curve:P-384 -out p384.pem
openssl genpkey -quiet -algorithm ED25519 -out ed25519.pem

# One certificate of an authority, with it.
openssl genpkey -quiet -algorithm EC -pkeyopt ec_paramgen_curve:P-256 -out authority.key
openssl req -x509 -new -key authority.key -days $days -subj '/CN=authority' -out authority.pem
openssl req -new -key ec.pem -subj '/CN=signed client' -out signed.csr
openssl x509 -req -in signed.csr -CA authority.pem -CAkey authority.key -days $days -out signed.pem
openssl pkcs12 -export -inkey ec.pem -in signed.pem -certfile authority.pem -name signed -passout pass:$password -out signed.p12
rm -f authority.key authority.pem signed.csr signed.pem authority.srl

# Two keys in one store, as Java makes it.
rm -f java.p12
for alias in one two; do
    keytool -genkeypair -keystore java.p12 -storetype PKCS12 -storepass $password -alias $alias \
        -keyalg RSA -keysize 2048 -dname "CN=$alias" -validity $days 2>/dev/null
done
