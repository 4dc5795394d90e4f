# After a datagram without a byte, what becomes of another client's?
import os,signal,socket,subprocess,time
P,Q=8065,8066
s=socket.socket(socket.AF_INET,socket.SOCK_DGRAM); s.bind(("127.0.0.1",Q)); s.settimeout(2)
p=subprocess.Popen(["socat",f"UDP4-RECVFROM:{P},bind=127.0.0.1,fork",f"UDP4:127.0.0.1:{Q}"],start_new_session=True); time.sleep(.5)
one,other=(socket.socket(socket.AF_INET,socket.SOCK_DGRAM) for i in range(2))
def arrives(client,data):
    client.sendto(data,("127.0.0.1",P))
    try: return s.recvfrom(100)[0].decode()
    except TimeoutError: return "nothing"
print("before:",arrives(one,b"first"),arrives(other,b"second"))
one.sendto(b"",("127.0.0.1",P)); time.sleep(.5)
print("after one without a byte:",", ".join(arrives(other,b"third") for i in range(4)))
os.killpg(p.pid,signal.SIGKILL)
