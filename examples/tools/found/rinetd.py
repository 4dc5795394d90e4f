# What comes to the server when a client has sent one datagram?
import socket,subprocess,tempfile,time
P,Q=8067,8068
s=socket.socket(socket.AF_INET,socket.SOCK_DGRAM); s.bind(("127.0.0.1",Q)); s.settimeout(1)
f=tempfile.NamedTemporaryFile("w",suffix=".conf"); f.write(f"127.0.0.1 {P}/udp 127.0.0.1 {Q}/udp\n"); f.flush()
p=subprocess.Popen(["rinetd","-f","-c",f.name]); time.sleep(.5)
c=socket.socket(socket.AF_INET,socket.SOCK_DGRAM); c.sendto(b"hello",("127.0.0.1",P)); came=[]
try:
    while True: came.append(s.recvfrom(100)[0])
except TimeoutError: print("the server gets",came)
p.kill()
